# make run and make test do all the set-up themselves; `make help` lists the targets.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# --no-deps: the pins are complete, so that a newer release of a dependency is never asked for (pip before 23.3 takes
# it for another requirement where a package is pinned without its extra, and refuses it for want of a hash).
# --only-binary: what is built is built with the tools of the day, which no hash covers.
PIP_FLAGS := --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary=:all:

# Tests run in so many processes; tests/workers.py says which run one after another.
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest --no-loadscope-reorder -n
UNIT := tests/unit tests/contract
# A tool for those who pin anew; later ones of either may not go together.
PIN_TOOLS := pip==25.3 pip-tools==7.5.3
BUILD_TOOLS := build==1.6.1 hatchling==1.33.0
SBOM_TOOL := cyclonedx-bom==7.5.0

.PHONY: help run test check house docs screenshots soak lab bench requirements wheel sbom clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: $(VENV)/.runtime  ## serve a synthetic cluster on 127.0.0.1:9850 (no server, no root needed)
	$(BIN)/python -m aggregator demo

test: house  ## every test, on real servers (installs missing Debian packages as root)
	# One process more: those that wait for a server leave the processor to the others.
	$(PYTEST) $$(( $(WORKERS) + 1 )) --durations=15 -m "not soak" --no-skips --ignore=tests/lab_tests tests
	# The lab is a whole site on this machine: nothing else runs beside it.
	$(BIN)/python -m pytest --durations=15 --no-skips tests/lab_tests

check: house  ## lint, types, layers and unit tests (properties with few examples), about a minute and a half
	$(PYTEST) $(WORKERS) -q -m "not mariadb and not process" --hypothesis-profile=brief $(UNIT)

house: docs  ## lint, types, layers and documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.test  ## build the documentation into site/; a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

screenshots: $(VENV)/.test  ## make the pictures of the documentation anew, of the demo (as root where Chromium is missing)
	$(BIN)/python -m tests.pictures

soak: $(VENV)/.test  ## every fault over and over under load for 30 min, then every property forty times as often
	$(BIN)/python -m tests.faults
	$(PYTEST) $(WORKERS) --durations=15 -m soak tests
	$(PYTEST) $(WORKERS) --durations=15 -m hypothesis --hypothesis-profile=deep --timeout=7200 tests

lab: $(VENV)/.test  ## boot MariaDB, Slurm, exporters, Prometheus and the service on this machine
	$(BIN)/python -m tests.lab

bench: $(VENV)/.test  ## measure every row of docs/performance.md on this machine, in a quarter of an hour
	$(BIN)/python -m tests.bench

requirements: $(VENV)/bin/python  ## pin the dependencies anew, with hashes and without addresses
	$(BIN)/python -m venv --clear $(VENV)/pins
	$(VENV)/pins/bin/python -m pip install --quiet --disable-pip-version-check $(PIN_TOOLS)
	for extra in test runtime; do \
	  $(VENV)/pins/bin/pip-compile --quiet --generate-hashes --allow-unsafe --no-strip-extras --no-header --no-emit-index-url \
	    --no-emit-find-links --no-emit-trusted-host --no-annotate $$([ $$extra = test ] && echo --extra test || echo -c requirements/test.txt) \
	    -o requirements/$$extra.txt pyproject.toml || exit 1; \
	done

wheel: $(VENV)/bin/python  ## build the wheel and the sdist into dist/
	$(BIN)/python -m venv --clear $(VENV)/build
	$(VENV)/build/bin/python -m pip install --quiet --disable-pip-version-check $(BUILD_TOOLS)
	$(VENV)/build/bin/python -m build --no-isolation --outdir dist

sbom: $(VENV)/bin/python  ## write dist/hpc-aggregator.cdx.json: what the wheel needs, with hashes (CycloneDX)
	$(BIN)/python -m venv --clear $(VENV)/sbom
	$(VENV)/sbom/bin/python -m pip install --quiet --disable-pip-version-check $(SBOM_TOOL)
	mkdir -p dist
	$(VENV)/sbom/bin/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible \
	  --output-format JSON --output-file dist/hpc-aggregator.cdx.json requirements/runtime.txt

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'Python 3.11 or newer is needed: make PYTHON=…' >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq python3-venv && \
	  $(PYTHON) -m venv --clear $(VENV); } || { echo 'cannot make a virtual environment: install python3-venv' >&2; exit 1; }

$(VENV)/.runtime: requirements/runtime.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install $(PIP_FLAGS) -r requirements/runtime.txt
	@touch $@

$(VENV)/.test: requirements/test.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install $(PIP_FLAGS) -r requirements/test.txt
	@touch $@ $(VENV)/.runtime

clean:  ## remove the virtual environment and caches
	rm -rf $(VENV) site .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist
