# Each target makes its own virtual environment and installs what it needs. Nothing has to be there before
# but Python ≥ 3.11 with venv, and make.
PYTHON ?= python3
VENV := .venv
BENCH_VENV := .venv-bench
PIP_FLAGS := --quiet --disable-pip-version-check
BIN := $(VENV)/bin

.PHONY: quickstart test test-all lint format bench docs browser clean

quickstart: $(VENV)/.installed  ## prepare, train, evaluate and search the embedded data set
	$(BIN)/prismat quickstart

test: $(VENV)/.dev  ## the suite, in minutes
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal -q

test-all: $(VENV)/.dev  ## with the slow tests
	$(BIN)/python -m pytest -m "slow or not slow" -n auto --maxprocesses 4 --dist worksteal -q

lint: $(VENV)/.dev  ## style, types, formatting
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/ty check

format: $(VENV)/.dev
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

bench: $(BENCH_VENV)/.installed  ## every published figure of speed, as JSON in benchmarks/results
	cd benchmarks && for script in featurize xrd training_step encoders search; do ../$(BENCH_VENV)/bin/python $$script.py || exit 1; done

docs: $(VENV)/.dev  ## pages of the manual from the docstrings
	$(BIN)/python docs/make_pages.py

browser: $(VENV)/.dev  ## a headless browser for the tests of the web page, where one can be had
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null \
	|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && timeout 300 sh -c \
	     "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium" >/dev/null; } \
	|| timeout 300 $(BIN)/python -m playwright install chromium \
	|| echo "no browser could be installed: the tests of the web page will be skipped"

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(PIP_FLAGS) --upgrade pip

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install $(PIP_FLAGS) -e ".[text,app,maps]"
	touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install $(PIP_FLAGS) -e ".[text,image,chgnet,ase,tracking,scale,hpo,index,app,maps,umap,dev]"
	touch $@ $(VENV)/.installed

$(BENCH_VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/python -m pip install $(PIP_FLAGS) --upgrade pip
	$(BENCH_VENV)/bin/python -m pip install $(PIP_FLAGS) -e ".[bench]"
	$(BENCH_VENV)/bin/python -m pip install $(PIP_FLAGS) --no-deps "open_clip_torch==3.3.0"  # its loss alone is read
	touch $@

clean:
	rm -rf $(VENV) $(BENCH_VENV) runs stores .pytest_cache .ruff_cache .hypothesis
