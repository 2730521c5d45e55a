# Needs Python 3.11 or later, make and git; everything else goes into $(VENV). PYTHON=... chooses the interpreter.
PYTHON ?= python3
VENV ?= .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
PY := $(BIN)/python
STAMP := $(VENV)/.installed

# Idle OpenMP threads that spin slow torch down several times on a busy machine.
export OMP_WAIT_POLICY ?= PASSIVE
export ONEDNN_PRIMITIVE_CACHE_CAPACITY ?= 16384

.PHONY: help install demo check lint format test test-slow test-cluster bench clean

help:
	@echo "make demo       interpolate a clip rendered on the spot; VIDEO=path takes one of yours"
	@echo "make check      ruff, mypy and the import contracts"
	@echo "make format     ruff's fixes and formatting, in place"
	@echo "make test       check, then the tests (CPU, minutes)"
	@echo "make test-slow  the tests marked slow"
	@echo "make test-cluster  the tests that start Ray, which this installs"
	@echo "make bench      speed and memory against peers"
	@echo "make clean      remove what the targets above made, but not $(VENV)"

install: $(STAMP)

$(STAMP): pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'vidcm needs Python 3.11 or later, this is ' \
	+ sys.version.split()[0] + ': name another with PYTHON=...')"
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --editable ".[test]"
	@$(PY) -c "import pathlib, sys; pathlib.Path(sys.argv[1]).touch()" $(STAMP)

demo: $(STAMP)
	$(PY) scripts/demo.py $(if $(VIDEO),"$(VIDEO)")

check: lint
	$(PY) -m ruff check .
	$(PY) -m mypy

# On a built tree: only there do the files of pipelines/ lie where their name, vidcm.pipelines, says.
lint: $(STAMP)
	@$(PY) -c "import shutil; shutil.rmtree('build/lint', ignore_errors=True)"
	@$(PY) -c "from setuptools import setup; setup()" --quiet build_py --build-lib build/lint
	cd build/lint && $(abspath $(BIN))/lint-imports --config $(CURDIR)/pyproject.toml --no-cache --no-logo

format: $(STAMP)
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

test: check
	$(PY) -m pytest -q

test-slow: $(STAMP)
	$(PY) -m pytest -q -m slow

test-cluster: $(STAMP)
	$(PY) -m pip install --quiet --disable-pip-version-check --editable ".[test,cluster]"
	$(PY) -m pytest -q -m cluster

bench: $(STAMP)
	$(PY) -m benchmarks

clean:
	$(PYTHON) -c "import shutil; [shutil.rmtree(d, ignore_errors=True) for d in \
	('build', 'dist', 'demo', '.pytest_cache', '.mypy_cache', '.ruff_cache', 'vidcm.egg-info')]"
