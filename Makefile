# Everything is set up inside the checkout: a virtual environment in .venv, nothing outside it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: up install test lint bench accuracy check requirements clean
.DEFAULT_GOAL := up

up: $(VENV)/.run ## Put the demo API behind mutual TLS
	$(BIN)/handclasp up --demo

install: $(VENV)/.run ## Set up, and start nothing

test: $(VENV)/.dev ## Run the tests, against real servers
	$(BIN)/python -m pytest -n 2 --dist loadgroup

lint: $(VENV)/.dev ## ruff, mypy --strict, import-linter
	$(BIN)/ruff format --check src tests bench docs
	$(BIN)/ruff check src tests bench docs
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev ## Measure; takes about half an hour (needs gcc and libssl-dev)
	$(BIN)/python -m bench

accuracy: $(VENV)/.dev ## Put faults into real servers and count how often the doctor is right; about two minutes
	$(BIN)/python -m bench.accuracy

check: lint test ## What has to pass before a commit

requirements: $(VENV)/.dev ## Pin the newest versions that pyproject.toml allows
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --no-annotate --upgrade -o requirements/run.txt pyproject.toml requirements/build.in
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --no-annotate --upgrade -o requirements/dev.txt -c requirements/run.txt \
	  --extra dev pyproject.toml requirements/build.in

$(VENV)/.run: requirements/run.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Handclasp needs Python 3.11 or newer, and $(PYTHON) is older. Name another: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

clean: ## Remove the virtual environment and the caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
