"""The user's files, checked: whatever a later stage reads has been read, matched and named once, here.

Links or compresses the reference and the genotypes, turns the gene annotation, the expression matrix and the tables into
plain tables with the same names of contigs, genes and people in all of them, and writes the checksums.
"""
