# Every target sets up what it needs. Set-up speaks on stderr: stdout is the program's alone.
PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
CORE := $(VENV)/.installed-core
DEV := $(VENV)/.installed-dev
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input install

# a foundry whose byte code is not kept is compiled again at each of the thousand starts of the tests
unexport PYTHONDONTWRITEBYTECODE

.PHONY: install run agent test test-alone test-stories test-labs test-tracked lint bench bench-terminal bench-kube bench-placement bench-telemetry bench-reports bench-tracking verdicts docs pictures clean

install: $(CORE)
	@:

# make run ARGS="nodes --json"
run: $(CORE)
	@exec $(BIN)/foundry $(ARGS)

# Parts side by side: what needs a lab waits for it most of the time, and the rest works meanwhile. A part with a lab
# of its kind has it alone: Kubernetes is started in one, MLflow's server in as few as may be.
LABS := $(addprefix tests/,agent collector lab schedulers telemetry explain/test_lab.py optimiser/test_lab.py \
  scheduler_sim/cli/test_slurm.py scheduler_sim/history/test_lab_order.py actions/test_shell.py \
  estate/test_fairshare.py migration/test_corpus_lab.py stories/test_both.py stories/test_containers.py \
  stories/test_change_kai.py)
TRACKED := $(addprefix tests/,tracking actions/test_record.py actions/experiments/test_find.py \
  collector/test_mirroring.py \
  $(patsubst %,stories/test_%.py,comparing kill_matrix record reproduce server_goes tracking))
STORIES := tests/stories
PARTS := test-alone test-stories test-labs test-tracked
without = $(patsubst %,--ignore=%,$(1))
RAN := .pytest_cache/parts

# A part leaves what pytest was called with, what failed and its exit status, for tests.again.
define pytest
@rm -rf $(RAN)/$@ && mkdir -p $(RAN)/$@ && echo '$(2)' >$(RAN)/$@/args
@$(1) $(BIN)/pytest -o cache_dir=$(RAN)/$@ $(2); status=$$?; echo $$status >$(RAN)/$@/status; exit $$status
endef

# what failed beside the others is asked once more, alone
test: lint
	@rm -rf $(RAN)
	@$(MAKE) --no-print-directory --keep-going --jobs=4 $(PARTS) || \
	  $(BIN)/python -m tests.again $(addprefix $(RAN)/,$(PARTS))

test-alone: $(DEV)
	$(call pytest,nice -n 5,$(call without,$(LABS) $(TRACKED) $(STORIES)) tests)

test-stories: $(DEV)
	$(call pytest,,$(call without,$(LABS) $(TRACKED)) $(STORIES))

test-labs: $(DEV)
	$(call pytest,,$(call without,$(TRACKED)) $(LABS))

test-tracked: $(DEV)
	$(call pytest,,$(TRACKED))

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

# random states of a real Slurm, advised, applied and judged: make verdicts ARGS="--states 20 --seed 7"
verdicts: $(DEV)
	@$(BIN)/python -m benchmarks.verdicts $(ARGS)

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
