# What a person types. `make demo` needs Python 3.11 with venv, make and nothing else; the rest is for developers.
# PYTHON=python3.12 chooses another Python, ARGS="…" passes arguments on, JOBS=4 runs more tests at once.

SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
JOBS ?= 2
ROUNDS ?= 50
ARGS ?=

BIN := $(VENV)/bin
PYTEST := $(BIN)/pytest
RUNTIME := $(VENV)/.installed
DEV := $(VENV)/.installed-dev
QUICK_TESTS := $(wildcard tests/unit tests/architecture tests/api tests/flow tests/conformance)

# A virtual environment whose Python is gone (upgraded away, moved folder) counts as not installed.
ifneq ($(shell $(BIN)/python -c 'print("runs")' 2>/dev/null),runs)
STALE := stale
endif

.PHONY: demo up test quick lint format assets servers bench chaos mutate lock docs dev clean help stale
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(RUNTIME) ## watch one incident from alert to verified fix, in a sandbox (ARGS="--scenario NAME --keep")
	@$(BIN)/toban demo --yes $(ARGS)

up: $(RUNTIME) ## run Toban in the foreground (ARGS=--sandbox brings a world to practise in)
	@$(BIN)/toban up $(ARGS)

test: lint assets servers ## everything that must pass: lint, page assets, all tests
	@status=0; \
	$(PYTEST) -n $(JOBS) --dist worksteal -m "not crash" $(ARGS) || status=$$?; \
	$(PYTEST) -m crash $(ARGS) || status=$$?; \
	exit $$status

quick: lint ## lint and the fast tests, in two minutes at most
	@$(PYTEST) -n $(JOBS) --dist worksteal -m "not slow and not crash" $(QUICK_TESTS) $(ARGS)

lint: $(DEV) ## style, types, import contracts, dead code, unused dependencies, the tree's own rules
	@$(BIN)/python scripts/lint.py

format: $(DEV) ## let ruff format and repair what it can
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

assets: $(DEV) ## prove that the committed page assets are what their sources build
	@bash scripts/check_assets.sh

servers: ## install the real servers that tests talk to (Debian packages), or say how
	@bash scripts/install_test_servers.sh

bench: $(DEV) ## measure, and print the lines of docs/benchmarks.md
	@$(BIN)/python tests/bench/run.py $(ARGS)

chaos: $(DEV) ## the crash tests with many rounds (ROUNDS=50)
	@$(PYTEST) -m crash --crash-rounds $(ROUNDS) $(ARGS)

mutate: $(DEV) ## change governance's code on purpose and list what its tests do not notice (ARGS='toban.governance.gate*')
	@$(BIN)/mutmut run $(ARGS)
	@$(BIN)/mutmut results | grep -v ': not checked' || echo "every change was noticed"

lock: $(DEV) ## renew both lock files
	@bash scripts/lock.sh

docs: $(DEV) ## renew the generated part of docs/configuration.md
	@$(BIN)/python scripts/write_configuration_docs.py

dev: $(DEV) ## install what developers need into the virtual environment

clean: ## remove the virtual environment and every cache
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache mutants

$(RUNTIME): requirements.lock pyproject.toml scripts/install.sh $(STALE)
	@PYTHON="$(PYTHON)" VENV="$(VENV)" bash scripts/install.sh requirements.lock
	@touch $@

$(DEV): requirements-dev.lock pyproject.toml scripts/install.sh $(STALE)
	@PYTHON="$(PYTHON)" VENV="$(VENV)" bash scripts/install.sh requirements-dev.lock
	@touch $(RUNTIME) $@
