# Everything by one word: `make demo` sets up, runs and reports. Needs Python >= 3.11, make and bash; nothing else.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
# Number of CPU cores that a run may use.
CORES ?= $(shell getconf _NPROCESSORS_ONLN)
CONFIG ?= config/demo.yaml
# Further options for snakemake or pytest, such as ARGS="--dry-run" or ARGS="-k cohort".
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
RESULTS := $(or $(shell sed -n 's/^results: *//p' $(CONFIG) 2> /dev/null),results/demo)
REPORT := $(RESULTS)/report.html
SNAKEMAKE := $(BIN)/snakemake --configfile $(CONFIG) --cores $(CORES)
SNAKEFILES := Snakefile workflow/Snakefile workflow/rules
NETWORKS := .venv-networks
SLURM := .venv-slurm
GTA := PYTHONPATH=workflow/lib $(BIN)/python -m gta

BENCHMARKS := bench-haplotypes bench-features bench-aligner bench-aoc bench-evaluation bench-cis-signal bench-attribution bench-prompt bench-probe bench-genomewide
.PHONY: help setup demo run report test check-demo test-networks test-slurm $(BENCHMARKS) lint unlock format clean distclean

help: ## show this
	@echo "Targets (variables in brackets):"
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 20

setup: $(STAMP) ## make .venv with everything that is needed, once

$(STAMP): requirements.txt requirements-dev.txt
	@command -v $(PYTHON) > /dev/null || { echo "$(PYTHON) is not there: install Python 3.11 or later, or name it: make PYTHON=/path/to/python3." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is $$($(PYTHON) --version 2>&1), but 3.11 or later is needed: name another with make PYTHON=/path/to/python3.11." >&2; exit 1; }
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV): 2 to 10 minutes, 1.5 GB; what pip says is in $(VENV)/install.log."
	@$(BIN)/python -m pip install --disable-pip-version-check -r requirements-dev.txt > $(VENV)/install.log 2>&1 \
		|| { tail -n 30 $(VENV)/install.log; echo "The installation failed; the reason is above and in $(VENV)/install.log." >&2; exit 1; }
	@# The command `gta`, for people; the workflow needs no installation.
	@$(BIN)/python -m pip install --disable-pip-version-check --no-deps -e . >> $(VENV)/install.log 2>&1 \
		|| { tail -n 30 $(VENV)/install.log; echo "The command gta could not be installed; the reason is above." >&2; exit 1; }
	@touch $@

demo: ## run the demo, make its report and show the headline [CORES, ARGS]
	@$(MAKE) --no-print-directory run CONFIG=config/demo.yaml

run: $(STAMP) ## the same for another configuration [CONFIG, CORES, ARGS]
	@[ -f $(CONFIG) ] || { echo "There is no configuration $(CONFIG): check the path in CONFIG=..." >&2; exit 1; }
	@$(SNAKEMAKE) $(ARGS) || { \
		[ -z "$$(ls -A .snakemake/locks 2> /dev/null)" ] \
			|| echo "The folder is locked: another run works in it. If none does, one was killed: make unlock, then once more." >&2; \
		exit 1; }
ifeq ($(filter -n --dry-run,$(ARGS)),)
	@if [ -n "$$(find $(RESULTS) workflow/report -type f -newer $(REPORT) -print -quit 2>&1)" ]; then \
		$(MAKE) --no-print-directory report; \
	else \
		echo "Nothing to be done: all results are there; report at $(REPORT)."; \
	fi
	@$(GTA) evaluation headline --evaluation $(RESULTS)/evaluation --enrichment $$(ls $(RESULTS)/attribution/*/enrichment.tsv)
endif

report: $(STAMP) ## make the report of a finished run [CONFIG]
	@$(SNAKEMAKE) --report $(REPORT) $(ARGS)
	@echo "Report at $(REPORT): open it in a browser."

test: $(STAMP) ## run all tests, in up to four processes [CORES, ARGS]
	@# A file's tests stay together, for they share what is costly to make; the end-to-end runs, which take longest, begin first.
	@$(BIN)/python -m pytest --numprocesses $(CORES) --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

check-demo: $(STAMP) ## are the results of the demo those that were seen before? (after make demo)
	@$(BIN)/python -m pytest tests/demo $(ARGS)

test-networks: $(STAMP) ## make .venv-networks for the extractors enformer and borzoi, and run their tests
	@[ -x $(NETWORKS)/bin/python ] || $(PYTHON) -m venv $(NETWORKS)
	@$(NETWORKS)/bin/python -m pip install --disable-pip-version-check -q -r requirements-networks.txt "pytest>=8,<10" "hypothesis>=6.100,<7"
	@$(NETWORKS)/bin/python -m pytest tests/unit/features/test_sequence_networks.py $(ARGS)

test-slurm: $(STAMP) ## make .venv-slurm, start a Slurm of one node and run the tests of profiles/slurm (root, slurm-wlm, munge)
	@[ -x $(SLURM)/bin/python ] || $(PYTHON) -m venv $(SLURM)
	@# It sees .venv and adds the plugin, which would slow down every snakemake there.
	@$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > "$$($(SLURM)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/gta.pth"
	@$(SLURM)/bin/python -m pip install --disable-pip-version-check -q -r requirements-slurm.txt
	@$(SLURM)/bin/python -m pytest tests/slurm $(ARGS)

bench-features: $(STAMP) ## measure what de-duplication saves and how fast motifs are scanned [ARGS]
	@PYTHONPATH=workflow/lib $(BIN)/python benchmarks/features.py $(ARGS)

bench-aoc: $(STAMP) ## measure how fast the attention-only compressor encodes, beside LoRA [ARGS]
	@PYTHONPATH=workflow/lib $(BIN)/python benchmarks/aoc.py $(ARGS)

bench-evaluation: $(STAMP) ## time the evaluation of 3,000 genes, 421 people and 5 models, beside a loop over scipy [ARGS]
	@PYTHONPATH=workflow/lib $(BIN)/python benchmarks/evaluation.py $(ARGS)

bench-cis-signal: $(STAMP) ## does the known cis signal of real data come back in held-out people? [DATA=FOLDER, ARGS]
	@PYTHONPATH=workflow/lib $(BIN)/python benchmarks/cis_signal.py $(DATA) $(ARGS)

bench-aligner: $(STAMP) ## measure how fast the aligner trains, with cached prompts and without [ARGS]
	@PYTHONPATH=workflow/lib $(BIN)/python benchmarks/aligner.py $(ARGS)

bench-prompt: $(STAMP) ## what the prompt is worth: GTA, its controls and text baselines on simulated cohorts [CORES, ARGS]
	@PYTHONPATH=workflow/lib $(BIN)/python benchmarks/prompt.py --cores $(CORES) $(ARGS)

bench-probe: $(STAMP) ## where the text is lost: ridge regression on hidden states, layer by layer, of a finished run [CONFIG, ARGS]
	@PYTHONPATH=workflow/lib $(BIN)/python benchmarks/prompt_probe.py --results $(RESULTS) $(ARGS)

bench-genomewide: $(STAMP) ## what training genes are worth, and another cohort, of a finished genome-wide run [CONFIG, DATA, ARGS]
	@PYTHONPATH=workflow/lib $(BIN)/python benchmarks/genomewide.py --results $(if $(filter $(CONFIG),config/demo.yaml),results/genomewide,$(RESULTS)) $(if $(DATA),--data $(DATA)) $(ARGS)

lint: $(STAMP) ## check style, types and the workflow's rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check $(SNAKEFILES)
	$(BIN)/snakemake --lint

bench-attribution: $(STAMP) ## in-silico mutagenesis: touched tiles alone beside whole windows [ARGS]
	@PYTHONPATH=workflow/lib $(BIN)/python benchmarks/attribution.py $(ARGS)

bench-haplotypes: $(STAMP) ## personal sequences: ours beside bcftools, GenVarLoader and kipoiseq, in their own environments
	@$(BIN)/python benchmarks/haplotypes.py $(ARGS)

unlock: $(STAMP) ## free the folder after a run that was killed [CONFIG]
	@$(SNAKEMAKE) --unlock $(ARGS)

format: $(STAMP) ## bring Python and Snakemake files into the common form
	$(BIN)/ruff format .
	$(BIN)/snakefmt $(SNAKEFILES)

clean: ## remove the demo's results
	rm -rf results/demo

distclean: clean ## remove the demo's results, the environment and all caches
	rm -rf $(VENV) $(NETWORKS) $(SLURM) .snakemake .mypy_cache .pytest_cache .ruff_cache .hypothesis
