"""GTA: gene expression from personal genomes, read by a frozen language model.

One sub-package per stage of the workflow, named like its rule file and its folder of results. The library knows nothing of
Snakemake; `python -m gta <stage> --help` explains each step.
"""

__version__ = "0.1.0"
