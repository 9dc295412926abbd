"""Report: the figures and tables that `snakemake --report` embeds, drawn from the files that other stages wrote.

Each figure is an action of `gta report` with options named after the files it reads. Nothing is computed here that is not in
those files: numbers in titles are the numbers of the evaluation's tables.
"""
