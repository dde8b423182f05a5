# From a bare clone with Python 3.11: `make demo` maps a flood, `make test` proves it, `make check` lints.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   ?= .venv
BIN     = $(VENV)/bin
ORACLES = .venv-oracles/.install
PIP     = $(BIN)/python -m pip install --quiet -c constraints.txt

.PHONY: demo test check format install install-test install-lint wheel clean

demo: install  ## map the embedded, simulated flood and say where the mask is
	$(BIN)/geoseg demo

test: install-test $(ORACLES)  ## the whole test suite
	$(BIN)/python -m pytest

check: install-lint  ## ruff, mypy strict, and the test that holds the layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_layers.py

format: install-lint  ## put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

install: $(VENV)/.install
install-test: $(VENV)/.install-test
install-lint: $(VENV)/.install-lint

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.install: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e .
	touch $@

$(VENV)/.install-test: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e '.[test]'
	touch $@ $(VENV)/.install

$(VENV)/.install-lint: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e '.[test,lint]'
	touch $@ $(VENV)/.install $(VENV)/.install-test

$(ORACLES): tests/support/install_oracles.py | $(BIN)/python  # what the parity tests compare with
	$(BIN)/python $<
	touch $@

wheel: install-test  ## build the wheel into dist/
	$(BIN)/python -m pip wheel --quiet --no-deps -w dist .

clean:
	rm -rf $(VENV) .venv-oracles build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
