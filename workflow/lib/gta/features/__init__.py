"""Features: what a sequence model sees in each tile of each distinct haplotype.

Reads the haplotype panels of one contig, runs a feature extractor once per distinct tile sequence, and writes a `FeatureStore`.
"""
