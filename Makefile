# make demo   the main job on real data        make test        lint, types, imports, tests
# make bench  benchmarks beside bare libraries  make test-fast   the tests with sqlglot's compiled build
# make crash  300 kills of a writing process    make stress      threads and processes for a minute
# make fuzz   broken statements for 5 minutes   make conformance  suites that others wrote
# make bench-recall  kinds of index and filters: packages, a million generated vectors, half an hour
# make bench-memory  search within a memory limit (needs control groups), five minutes
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP_DEMO := $(VENV)/.installed-alone
STAMP := $(VENV)/.installed
KILLS ?= 300
STAMP_FAST := $(VENV)-fast/.installed

.PHONY: demo test lint types imports unit test-fast bench bench-recall bench-memory conformance crash stress fuzz format clean

demo: $(STAMP_DEMO)
	$(BIN)/vsql demo
	@echo "vsql is $(BIN)/vsql; after '. $(BIN)/activate' it is vsql alone."

test: lint types imports unit

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(STAMP)
	$(BIN)/mypy
	$(BIN)/pyright

imports: $(STAMP)
	$(BIN)/lint-imports

unit: $(STAMP)
	$(BIN)/pytest -n auto

test-fast: $(STAMP_FAST)
	$(VENV)-fast/bin/pytest -n auto

bench: $(STAMP)
	$(BIN)/python benchmarks/search.py
	$(BIN)/python benchmarks/writes.py
	$(BIN)/python benchmarks/filters.py
	$(BIN)/python benchmarks/sql.py
	$(BIN)/python benchmarks/sparse.py

bench-recall: $(STAMP)
	$(BIN)/python benchmarks/recall.py

bench-memory: $(STAMP)
	$(BIN)/python benchmarks/memory.py

conformance: $(STAMP)
	$(BIN)/python -m tests.conformance.report

crash: $(STAMP)
	$(BIN)/python tests/crash/harness.py --kills $(KILLS) --seconds 600

stress: $(STAMP)
	$(BIN)/python tests/crash/stress.py --seconds 60

fuzz: $(STAMP)
	$(BIN)/pytest -n auto --hypothesis-profile=random tests/truth tests/grammar tests/index
	$(BIN)/python tests/crash/fuzz.py --seconds 300

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(STAMP_DEMO): pyproject.toml
	@echo "Installing into $(VENV): a minute or so, most of it DuckDB, faiss and Arrow."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	touch $@

# What tests and benchmarks need is a good deal more.
$(STAMP): $(STAMP_DEMO)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

$(STAMP_FAST): pyproject.toml
	$(PYTHON) -m venv $(VENV)-fast
	$(VENV)-fast/bin/pip install --quiet --disable-pip-version-check --upgrade pip
	$(VENV)-fast/bin/pip install --quiet --disable-pip-version-check --editable '.[dev,fast]'
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-fast build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
