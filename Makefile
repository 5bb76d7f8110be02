# The same few commands here and in CI. Everything is installed into VENV; nothing is installed twice.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
TORCH ?= torch==2.13.0
TORCH_INDEX ?=
DATA ?= data
MINUTES ?= 30
SAMPLE := layoutllm_tool/samples/invoice.png

.PHONY: help
help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(VENV)/.package ## Install, fetch the base model, ask the sample invoice, write out/invoice.png
	@$(BIN)/layoutllm pull >/dev/null
	@mkdir -p out
	$(BIN)/layoutllm ask $(SAMPLE) "What is the invoice number?" "What is the total due?" --annotate out/invoice.png
	@echo "The page with areas and answers drawn: out/invoice.png"

.PHONY: test
test: export OMP_NUM_THREADS := 1 # a worker a core: more threads would wait for one another
test: lint $(VENV)/.ocr-test ## Lint, types, import contracts, then the tests, documentation included (5 minutes)
	$(BIN)/pytest -m "not slow" -n auto

.PHONY: test-all
test-all: $(VENV)/.ocr-test ## The slow tests: the shipped weights, real files, killed processes, a browser
	$(BIN)/pytest -m slow

.PHONY: lint
lint: $(VENV)/.test ## Ruff, mypy --strict, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo

.PHONY: bench
bench: $(VENV)/.package ## Speed and memory, beside transformers.generate
	$(BIN)/layoutllm bench

.PHONY: train
train: $(VENV)/.package ## Train the shipped weights anew (hours; resumes), into out/train
	$(BIN)/layoutllm train --recipe smol-cpu --data $(DATA) --out out/train

.PHONY: eval
eval: $(VENV)/.eval ## Score receipts 400-499 and the unanswerable questions, beside the untuned backbone
	$(BIN)/layoutllm eval sroie --data $(DATA) --baseline
	$(BIN)/layoutllm eval unanswerable --data $(DATA)

.PHONY: fuzz
fuzz: $(VENV)/.ocr-test ## Hostile inputs made by program, for MINUTES (default: 30); failing ones into out/fuzz
	$(BIN)/python -m scripts.fuzz --minutes $(MINUTES)

.PHONY: clean
clean: ## Remove the environment and everything generated
	rm -rf $(VENV) out build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info

# -- stamps: what is installed already ---------------------------------------------------------------------------------

$(VENV)/.torch:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.12 ..." if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install $(TORCH) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX))
	@touch $@

$(VENV)/.package: pyproject.toml $(VENV)/.torch
	$(BIN)/pip install --editable .
	@touch $@

$(VENV)/.eval: pyproject.toml $(VENV)/.torch
	$(BIN)/pip install --editable '.[eval]'
	@touch $@ $(VENV)/.package

$(VENV)/.test: pyproject.toml $(VENV)/.torch
	$(BIN)/pip install --editable '.[test]'
	@touch $@ $(VENV)/.package $(VENV)/.eval

$(VENV)/.ocr-test: $(VENV)/.test
	scripts/debian tesseract-ocr tesseract-ocr-osd tesseract-ocr-jpn fonts-dejavu fonts-liberation \
		libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0
	@touch $@
