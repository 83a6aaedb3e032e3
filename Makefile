# run · check · test · bench · clean: what a newcomer needs. Each does its own set-up.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do command -v $$p >/dev/null 2>&1 && \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
PORT ?= 8501
LIBRARY ?= data/library
MINUTES ?= 60
TABS ?= 20
SECONDS ?= 300
SEARCHES ?= 10000
VENV := .venv
STAMP := $(VENV)/.installed
# An environment belongs to the folder that it was set up in: copied or moved along with it, it would run the code that lies
# there. What is installed in it is then kept, and all that names the folder written anew.
MOVED := $(shell test ! -e $(STAMP) || test "$$(cat $(STAMP))" = "$$(pwd -P)" || echo moved)
export PORT LIBRARY

.DEFAULT_GOAL := help
.PHONY: help install lock run check test coverage test-slow bench fuzz soak lint clean browser moved

help:
	@echo "make install  set up $(VENV) from the lock, every file verified by its hash"
	@echo "make run      open the page on http://localhost:$(PORT) (PORT=, LIBRARY=)"
	@echo "make check    ruff, mypy and tests/unit, before each commit"
	@echo "make test     run every test but the long ones"
	@echo "make coverage the same, and print which lines and branches no test ran"
	@echo "make bench    measure speed and quality, print the tables"
	@echo "make fuzz     feed readers, chunker and questions what nobody should (MINUTES=60)"
	@echo "make soak     the long tests: 300 kills, large files, many tabs, thousands of searches"
	@echo "              (TABS=20 SECONDS=300 SEARCHES=10000; make test-slow: without tabs and searches)"
	@echo "make lint     ruff and mypy alone"
	@echo "make lock     write requirements.lock anew (UPGRADE=1: with the latest versions)"
	@echo "make clean    remove the environment and caches (never a library)"

install: $(STAMP)

# Versions and hashes of all packages: requirements.lock. On Linux without an NVIDIA driver PyTorch's CPU build is looked for
# first (200 MB); else torch is the package index's CUDA build, and what it needs (3 GB) comes from requirements-cuda.lock.
PIP := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps
CPU_BUILD := --index-url https://download.pytorch.org/whl/cpu --retries 0 --timeout 5 --requirement requirements-cpu.lock
IS_CUDA := import sys; from importlib.metadata import version; sys.exit(sys.platform != "linux" or "+cpu" in version("torch"))

$(STAMP): pyproject.toml requirements.lock requirements-cpu.lock requirements-cuda.lock $(MOVED)
	@test -n "$(PYTHON)" || { echo "Second Look needs Python 3.11 or later; none was found on the PATH." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@if [ "$$(uname -s)" = Linux ] && ! command -v nvidia-smi >/dev/null 2>&1; then \
		$(PIP) --require-hashes $(CPU_BUILD) >/dev/null 2>&1 || \
		echo "PyTorch's CPU build could not be had; taking the package index's build, which is larger." >&2; fi
	$(PIP) --require-hashes --requirement requirements.lock
	@if $(VENV)/bin/python -c '$(IS_CUDA)'; then $(PIP) --require-hashes --requirement requirements-cuda.lock; fi
	$(PIP) --no-build-isolation --editable .
	@pwd -P >$(STAMP)

# Needs the package index; versions stay as they are unless UPGRADE=1.
lock:
	@PYTHON="$(PYTHON)" UPGRADE="$(UPGRADE)" .ci/lock

run: install
	@exec $(VENV)/bin/python -m ui.command_line.main serve --port "$$PORT" --library "$$LIBRARY"

check: lint
	$(VENV)/bin/python -m pytest tests/unit -n auto --dist loadfile -q

SUITE := $(VENV)/bin/python -m pytest -n auto --dist loadfile --no-loadscope-reorder -m "not slow and not soak"

test: install browser
	$(SUITE)

# What runs in processes of its own (readers, the command line as it is called) is not counted.
coverage: install browser
	$(SUITE) --cov --cov-report=term-missing:skip-covered

test-slow: install browser
	$(VENV)/bin/python -m pytest -m slow

# The browser tests use Debian's Chromium. Installed when it can be; without it they say why they are skipped.
browser:
	@if ! command -v chromium >/dev/null 2>&1 && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
		(apt-get update -q && apt-get install -y -q --no-install-recommends chromium fonts-dejavu-core) >/dev/null 2>&1 \
		|| echo "Chromium could not be installed; the browser tests will be skipped." >&2; fi

bench: install
	$(VENV)/bin/python -m tests.benchmarks

# atheris has builds for Linux and CPython 3.11 to 3.13 only, so it is no dependency. Built here it would bring unlocked tools.
fuzz: install
	@$(VENV)/bin/python -c "import atheris" 2>/dev/null || \
		$(PIP) --require-hashes --only-binary :all: --requirement requirements-fuzz.lock
	$(VENV)/bin/python -m tests.fuzz --minutes $(MINUTES)

soak: install browser
	SOAK_TABS=$(TABS) SOAK_SECONDS=$(SECONDS) SOAK_SEARCHES=$(SEARCHES) $(VENV)/bin/python -m pytest -m "slow or soak" -s

lint: install
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/python -m mypy

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build ./*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
