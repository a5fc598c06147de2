# Two commands on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# torch comes first, at the version of constraints.txt, so that its build is chosen here and not by what depends on it.
# On Linux the default build brings CUDA, some gigabytes; a machine without an NVIDIA GPU does with the CPU build of
# PyTorch, from the index that its installation page names: make install PIP_EXTRA_INDEX_URL=...
TORCH := $(shell grep -E '^torch==' constraints.txt)
# Tests on real data read this folder, and say that they skip where it does not exist.
export POLYCLINIC_DATA ?= $(abspath ../shared/data)
# The tests start many processes, each of which would otherwise compile the package anew.
export PYTHONDONTWRITEBYTECODE =
# One process per core, one thread each, in which commands start no further processes unless a test asks for them.
PYTEST := OMP_NUM_THREADS=1 LOKY_MAX_CPU_COUNT=1 $(BIN)/pytest -n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder

.PHONY: demo test check coverage install lint types layers pytest docs bench clean

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Polyclinic needs Python 3.11 or later: make PYTHON=python3.11')"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=24"
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

install: $(VENV)/.installed

demo: install
	$(BIN)/polyclinic demo --run --into runs/demo

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

layers: install
	$(BIN)/lint-imports

pytest: install
	$(PYTEST)

# What is done before each commit: all but the tests that take seconds: they train, read real data, or make a hospital.
check: install
	$(MAKE) --no-print-directory --jobs=2 --output-sync=target lint types layers
	$(PYTEST) -m "not slow" -q

coverage: install
	$(PYTEST) --cov --cov-report=term:skip-covered

docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# Two static checks at a time, each printing when it has ended; then the tests.
test: install
	$(MAKE) --no-print-directory --jobs=2 --output-sync=target lint types layers docs
	$(MAKE) --no-print-directory pytest

bench: install
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) runs site .pytest_cache .mypy_cache .ruff_cache
