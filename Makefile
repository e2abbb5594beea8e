# All set-up is done by stamp files: each target brings what it needs, a second call brings nothing.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=

export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run test check format lint types layers unit unit-optimized fix bench fuzz shape clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name text; do \
		printf '  make %-15s %s\n' "$$name" "$$text"; done

run: $(VENV)/.stamp-run  ## start examples/quickstart.py on 127.0.0.1:8000
	$(BIN)/python examples/quickstart.py

test: format lint types unit-optimized unit  ## everything: all checks and all tests

check: format lint types layers  ## the checks that need no running server

format: $(VENV)/.stamp-test  ## is the code formatted?
	$(BIN)/ruff format --check .

lint: $(VENV)/.stamp-test  ## ruff
	$(BIN)/ruff check .

types: $(VENV)/.stamp-test  ## mypy --strict
	$(BIN)/mypy

layers: $(VENV)/.stamp-test  ## who may import whom
	$(BIN)/python -m pytest -q tests/test_architecture.py tests/tools

unit: $(VENV)/.stamp-test $(VENV)/.stamp-programs  ## all tests; ARGS='-k name' picks some
	$(BIN)/python -m pytest $(ARGS)

# Refusing bad input must not hang on `assert`.  The variable, unlike -O, also reaches the
# servers that a test starts; the asserts of the tests themselves stay alive (tests/conftest.py).
unit-optimized: $(VENV)/.stamp-test  ## the security tests under python -O
	$(if $(wildcard tests/security),PYTHONOPTIMIZE=1 $(BIN)/python -m pytest tests/security,@echo "no tests/security, nothing to run under python -O")

fix: $(VENV)/.stamp-test  ## format, and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.stamp-run  ## measure; ARGS is handed on to python -m benchmarks
	$(BIN)/python -m benchmarks $(ARGS)

fuzz: $(VENV)/.stamp-test  ## random input for 60 s a target; ARGS='--seconds 5 multipart'
	$(BIN)/python -m fuzz $(ARGS)

shape: $(VENV)/.stamp-venv  ## the longest files and functions, as information
	$(BIN)/python -m tools.shape

clean:  ## remove the virtual environment, caches and built files
	rm -rf $(VENV) .venv-peers dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.stamp-venv:
	@tools/make-venv $(PYTHON) $(VENV)
	@touch $@

$(VENV)/.stamp-run: $(VENV)/.stamp-venv pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.stamp-test: $(VENV)/.stamp-venv pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@ $(VENV)/.stamp-run

$(VENV)/.stamp-programs: $(VENV)/.stamp-venv
	@tools/get-programs
	@touch $@
