# Each target sets up what it needs: PYTHON (3.10 to 3.13) makes a virtual
# environment in VENV.
PYTHON ?= python3
VENV ?= .venv
TEST_JOBS ?= auto

bin := $(abspath $(VENV))/bin
pytest := $(bin)/python -m pytest -n $(TEST_JOBS) --maxprocesses=4 --dist=worksteal

.PHONY: help demo check format test test-slow test-release clean

help:
	@echo "make demo          train, evaluate, export and use a classifier, offline"
	@echo "make check         lint, format, spelling and types"
	@echo "make format        fix what the formatter and the linter can"
	@echo "make test          the fast tests, some minutes"
	@echo "make test-slow     the slow tests, under an hour"
	@echo "make test-release  the tests before a release, hours"

demo: $(VENV)/runtime
	PATH="$(bin):$$PATH" scripts/demo.sh

check: $(VENV)/development
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/codespell
	$(bin)/pyright --pythonpath $(bin)/python
	$(bin)/pyright --project tools/parameters.json --pythonpath $(bin)/python

format: $(VENV)/development
	$(bin)/ruff check --fix .
	$(bin)/ruff format .

test: $(VENV)/development
	$(pytest) -m "not slow and not release"

test-slow: $(VENV)/development
	$(pytest) -m "slow"

test-release: $(VENV)/development
	$(pytest) -m "release"

clean:
	rm -rf build $(VENV)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 10) <= v <= (3, 13) or \
	  sys.exit("Python 3.10 to 3.13 is needed, not %d.%d: make PYTHON=python3.12 ..." % v)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/runtime: requirements.txt $(VENV)/bin/python
	$(bin)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/development: requirements-dev.txt requirements.txt $(VENV)/bin/python
	$(bin)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@
