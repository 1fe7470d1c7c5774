# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
CORE_VENV ?= .core-venv
DOCS_VENV ?= .docs-venv
DIST_VENV ?= .dist-venv
OPEN_CLIP_VENV ?= .open-clip-venv
OUT ?= demo-out
THREADS ?= 1
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test check core trained open-clip docs dist clean

demo: $(STAMP)
	$(BIN)/rankfield demo $(OUT)

# Threads wait without spinning: with several, a busy machine is otherwise several times slower
test: check
	OMP_NUM_THREADS=$(THREADS) OMP_WAIT_POLICY=PASSIVE $(BIN)/pytest -n 2 --dist worksteal

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

# Tests of open_clip's models, which `make test` leaves out: open_clip needs torchvision, whose
# wheels are for CUDA.
open-clip: $(OPEN_CLIP_VENV)/.installed
	OMP_NUM_THREADS=$(THREADS) $(OPEN_CLIP_VENV)/bin/pytest tests/*/test_open_clip*.py

$(OPEN_CLIP_VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(OPEN_CLIP_VENV)
	$(OPEN_CLIP_VENV)/bin/pip install --quiet --constraint constraints.txt torch
	$(OPEN_CLIP_VENV)/bin/pip install --quiet --constraint constraints.txt \
	  --editable '.[lora,minilm,open-clip]' hypothesis pytest pytest-timeout
	touch $@

# The site, build/docs/site: no page loads anything from elsewhere, and every link inside is checked.
docs: $(DOCS_VENV)/.installed
	$(DOCS_VENV)/bin/python docs/site/site_sources.py build/docs
	PYTHONPATH=docs/site $(DOCS_VENV)/bin/zensical build --strict --config-file build/docs/mkdocs.yml
	$(DOCS_VENV)/bin/python docs/site/site_check.py build/docs/site
	@echo "To read it: python3 -m http.server --directory build/docs/site"

# Source archive and wheel. The wheel runs the demo where nothing else is installed.
dist: $(DIST_VENV)/.installed
	rm -rf dist
	$(DIST_VENV)/bin/python -m build
	$(DIST_VENV)/bin/twine check --strict dist/*

# The packages of an extra, without rankfield itself.
$(DOCS_VENV)/.installed: EXTRA = docs
$(DIST_VENV)/.installed: EXTRA = dist
$(DOCS_VENV)/.installed $(DIST_VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"] \
	  ["optional-dependencies"]["$(EXTRA)"], sep="\n")' > $(@D)/requirements.txt
	$(@D)/bin/pip install --quiet --constraint constraints.txt --requirement $(@D)/requirements.txt
	touch $@

# torch comes first and alone: pinned, it keeps other packages from pulling a newer build of it.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) $(CORE_VENV) $(DOCS_VENV) $(DIST_VENV) $(OPEN_CLIP_VENV) $(OUT) \
	  build dist *.egg-info src/*.egg-info
