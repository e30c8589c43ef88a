# `make` alone prints this list.
PYTHON ?= python3.11
BIN := .venv/bin
STAMP := .venv/.installed
LINES := 52900

.DEFAULT_GOAL := help
.PHONY: help install format lint types check test test-all coverage readme demo bench \
	experiments lines clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(STAMP) ## make .venv and install kscale with its tools into it

$(STAMP): setup.cfg pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev,litert,micro,onnx,ray]'
	@touch $@

format: install ## format the code
	$(BIN)/ruff format kscale tests experiments
	$(BIN)/ruff check --fix kscale tests experiments

lint: install ## style
	$(BIN)/ruff format --check kscale tests experiments
	$(BIN)/ruff check kscale tests experiments

types: install ## types
	$(BIN)/mypy kscale

check: lint types lines ## lint, types, lines
	$(BIN)/python -m tests.readme --check

test: check ## check, then the tests of at most five minutes
	$(BIN)/pytest -m 'not slow' -n 2 --dist loadfile

test-all: check ## check, then all tests
	$(BIN)/pytest

coverage: install ## lines that the tests reach
	$(BIN)/pytest -m 'not slow' --cov --cov-report=term-missing

readme: install ## write the README's generated blocks again
	$(BIN)/python -m tests.readme

demo: install ## a search on the embedded digits, seconds once installed
	$(BIN)/kscale tune --max-params 50k --effort quick --run runs/demo

bench: install ## how fast sizes are counted
	$(BIN)/python experiments/sizing_speed.py

experiments: install ## every experiment in its small form
	for file in experiments/*.py; do $(BIN)/python $$file --smoke || exit 1; done

lines: ## lines a folder; fails above the budget
	@find kscale -name '*.py' | xargs wc -l | awk '$$2 != "total" \
	{split($$2, p, "/"); k = p[3] ? p[1] "/" p[2] : p[1]; n[k] += $$1; all += $$1} \
	END {for (k in n) print n[k] "\t" k; print all "\tof $(LINES)"; \
	exit all > $(LINES)}'

clean: ## remove what the other targets made
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .coverage
