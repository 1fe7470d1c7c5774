# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
CORE_VENV ?= .core-venv
OUT ?= demo-out
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test check core trained clean

demo: $(STAMP)
	$(BIN)/rankfield demo $(OUT)

test: check
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/deptry src

# What training reaches differs from processor to processor: these tests hold on all of them.
INSTRUCTIONS ?= default avx2 avx512
trained: $(STAMP)
	$(BIN)/python tests/trained_margins.py $(INSTRUCTIONS)

# Every command once, where no extra is installed.
core:
	$(PYTHON) -m venv $(CORE_VENV)
	$(CORE_VENV)/bin/pip install --quiet --constraint constraints.txt torch
	$(CORE_VENV)/bin/pip install --quiet --constraint constraints.txt .
	OMP_NUM_THREADS=1 $(CORE_VENV)/bin/python -P tests/core_install.py

# torch comes first and alone: pinned, it keeps other packages from pulling a newer build of it.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) $(CORE_VENV) $(OUT) build *.egg-info src/*.egg-info
