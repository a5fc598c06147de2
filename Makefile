# Two commands on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# torch comes first, at the version of constraints.txt, so that its build is chosen here and not by what depends on it.
# For Linux, PyPI's build brings CUDA, some gigabytes. A machine without an NVIDIA GPU does with the CPU build:
#   make install PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu
TORCH := $(shell grep -E '^torch==' constraints.txt)
# Tests on real data read this folder, and say that they skip where it does not exist.
export POLYCLINIC_DATA ?= $(abspath ../shared/data)

.PHONY: demo test install lint types layers pytest docs bench clean

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

# One process per core, one thread each; the tests of a file share their fixtures.
pytest: install
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile --cov --cov-report=term:skip-covered

docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

test: lint types layers docs pytest

bench: install
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) runs site .pytest_cache .mypy_cache .ruff_cache
