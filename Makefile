# Every target sets up what it needs. Set-up speaks on stderr: stdout is the program's alone.
PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
CORE := $(VENV)/.installed-core
DEV := $(VENV)/.installed-dev
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input install

.PHONY: install run agent test test-alone test-labs test-stories lint bench bench-terminal bench-kube bench-placement bench-telemetry bench-reports bench-tracking docs pictures clean

install: $(CORE)
	@:

# make run ARGS="nodes --json"
run: $(CORE)
	@exec $(BIN)/foundry $(ARGS)

# what needs a lab waits for it most of the time, the rest works: side by side they take the time of one
LABS := $(addprefix tests/,agent collector lab schedulers telemetry tracking)
STORIES := tests/stories

test: lint
	@$(MAKE) --no-print-directory --jobs=3 test-alone test-labs test-stories

test-alone: $(DEV)
	@nice -n 5 $(BIN)/pytest $(patsubst %,--ignore=%,$(LABS) $(STORIES)) tests

test-labs: $(DEV)
	@$(BIN)/pytest $(LABS)

test-stories: $(DEV)
	@$(BIN)/pytest $(STORIES)

lint: $(DEV)
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

# the agent as one file for compute nodes: dist/foundry-agent.pyz
agent: $(CORE)
	@mkdir -p dist
	@$(BIN)/python -m foundry_tui.agent.zipapp -o dist/foundry-agent.pyz

bench: $(DEV)
	@$(BIN)/python -m benchmarks.house $(ARGS)

# make bench-terminal ARGS="--only tick"
bench-terminal: $(DEV)
	@$(BIN)/python -m benchmarks.terminal $(ARGS)

# make bench-kube ARGS="--live"
bench-kube: $(DEV)
	@$(BIN)/python -m benchmarks.kube $(ARGS)

# make bench-placement TRACES=folder ARGS="--seeds 42-44"
bench-placement: $(DEV)
	@$(BIN)/python -m benchmarks.placement $(TRACES) $(ARGS)

# make bench-telemetry ARGS="--clients"
bench-telemetry: $(DEV)
	@$(BIN)/python -m benchmarks.telemetry $(ARGS)

# reports of 10,000 to 1,000,000 tries, for example: make bench-reports ARGS="--sizes 1000000"
bench-reports: $(DEV)
	@$(BIN)/python -m benchmarks.reports $(ARGS)

# tracked runs on a real MLflow server, for example: make bench-tracking ARGS="--sizes 1000 10000"
bench-tracking: $(DEV)
	@$(BIN)/python -m benchmarks.tracking $(ARGS)

docs: $(CORE)
	@$(BIN)/python -m foundry_tui.cli.docs

# every picture of docs/screens, from the simulated estate; look at what changed
pictures: $(DEV)
	@$(BIN)/python -m tests.tui.pictures $(ARGS)

clean:
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(CORE): $(VENV)/bin/pip pyproject.toml
	@echo "installing foundry into $(VENV) (again only when pyproject.toml changes)" >&2
	@$(PIP) --editable . >&2
	@touch $@

$(DEV): $(CORE) pyproject.toml
	@echo "installing what the tests need into $(VENV)" >&2
	@$(PIP) --editable '.[dev]' >&2
	@touch $@

# pip is what a venv gets last: where it is, the venv is whole
$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' >&2 || { \
	  echo "foundry needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || true)" >&2; \
	  echo "try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "'$(PYTHON)' cannot make a virtual environment; on Debian and Ubuntu:" >&2; \
	  echo "  apt-get install python3-venv" >&2; exit 1; }
	@echo "making $(VENV) with $$($(PYTHON) --version 2>&1)" >&2
	@$(PYTHON) -m venv --clear $(VENV) >&2
