# Two commands: `make run` and `make test`. Both set up .venv first; a second run reuses it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
TESTS ?= tests
# Tests mostly wait for processes: three keep two cores busy.
WORKERS ?= 3
JOBS ?= 2
SEEDS ?= 500
DEPTH ?= 12
SEARCH_INDEX_FREE := --no-header --no-annotate --no-emit-index-url --no-emit-find-links

.PHONY: run test check format bench crash faults sim explore lock clean

run: $(VENV)/runtime
	$(BIN)/tradesaga up --paper $(ARGS)

test: check
	$(BIN)/python -m pytest -q -n $(WORKERS) $(TESTS)

check: $(VENV)/development
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tests/architecture/tidy.py src/tradesaga

format: $(VENV)/development
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/runtime
	$(BIN)/python -m bench $(ARGS)

# Every single over all scenarios, a sample of the pairs, all mutants; crash-report.json.
crash: $(VENV)/runtime
	$(BIN)/python -m crash $(ARGS)

# One thing after another fails under two running nodes; see docs/howto/kill-and-watch.md.
faults: $(VENV)/development
	$(BIN)/python -m faults $(ARGS)

# Market hours on virtual time, with faults; see docs/howto/simulate.md.
sim: $(VENV)/runtime
	$(BIN)/python -m sim --seeds $(SEEDS) --jobs $(JOBS) $(ARGS)

explore: $(VENV)/development
	$(BIN)/python -m sim.explore --depth $(DEPTH) $(ARGS)

# Pins everything with hashes and without index addresses; needs uv on the PATH.
lock:
	uv pip compile -q pyproject.toml requirements-build.in --extra embedded --universal \
	  --python-version 3.11 --generate-hashes $(SEARCH_INDEX_FREE) -o requirements.txt
	uv pip compile -q pyproject.toml requirements-build.in --extra embedded --extra dev --universal \
	  --python-version 3.11 --generate-hashes $(SEARCH_INDEX_FREE) -c requirements.txt -o requirements-dev.txt

$(VENV)/python-ok:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/runtime: $(VENV)/python-ok requirements.txt pyproject.toml
	$(PIP) install -q --require-hashes -r requirements.txt
	$(PIP) install -q --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/development: $(VENV)/runtime requirements-dev.txt
	$(PIP) install -q --require-hashes -r requirements-dev.txt
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
