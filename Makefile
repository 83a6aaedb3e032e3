# run · test · bench · lint · clean: what a newcomer needs. Each does its own set-up.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do command -v $$p >/dev/null 2>&1 && \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
PORT ?= 8501
LIBRARY ?= data/library
VENV := .venv
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install run test test-slow bench lint clean browser

help:
	@echo "make run      open the page on http://localhost:$(PORT) (PORT=, LIBRARY=)"
	@echo "make test     run every test"
	@echo "make bench    measure speed and quality, print the tables"
	@echo "make lint     ruff and mypy"
	@echo "make clean    remove the environment and caches (never a library)"

install: $(STAMP)

$(STAMP): pyproject.toml
	@test -n "$(PYTHON)" || { echo "Second Look needs Python 3.11 or later; none was found on the PATH." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	@touch $(STAMP)

run: install
	@exec $(VENV)/bin/secondlook serve --port $(PORT) --library "$(LIBRARY)"

test: install browser
	$(VENV)/bin/python -m pytest -m "not slow"

test-slow: install browser
	$(VENV)/bin/python -m pytest -m slow

# The browser tests use Debian's Chromium. Installed when it can be; without it they say why they are skipped.
browser:
	@if ! command -v chromium >/dev/null 2>&1 && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
		(apt-get update -q && apt-get install -y -q --no-install-recommends chromium fonts-dejavu-core) >/dev/null 2>&1 \
		|| echo "Chromium could not be installed; the browser tests will be skipped." >&2; fi

bench: install
	$(VENV)/bin/python -m tests.benchmarks

lint: install
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build ./*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
