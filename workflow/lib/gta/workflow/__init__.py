"""Workflow: what the Snakefile needs to know, kept out of it so that it can be tested.

The keys of the configuration (`settings`), how it is checked (`config`, with light readers of the data's `names`), what the
rules take from it (`run`), its schema (`schema`), and the environment of the jobs (`jobs`). Nothing here imports Snakemake or
anything heavy: a dry run must be instant.
"""
