# Each target does its own set-up; a second run skips what is done.
#
#   make demo    paint - train - predict on drawn cells, watched in napari
#   make test    every test
#   make lint    ruff, mypy, import-linter, the manifest
#   make docs    the documentation into site/
#   make screenshots   the pictures in docs/images, by doing the work in napari
#   make bench   how fast it is, beside a plain loop, MONAI and others: 4 minutes on 2 quiet cores
#   make figures the quality figures of the documentation: 3 hours on 2 cores; stop it and run it
#                again as you like, what is finished is kept (FIGURES="--list" shows the plan)
#   make clean   remove what these made

VENV := .venv
BIN := $(VENV)/bin

# The first Python that is new enough; choose another with `make test PYTHON=python3.12`.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { echo $$python; break; }; done)

# One process for each core, the tests of a file in one of them; `make test PARALLEL=` takes one.
PARALLEL ?= --numprocesses logical --maxprocesses 4 --dist loadfile

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test lint docs screenshots bench figures clean system-packages

help:
	@sed -n 's/^#   //p' Makefile

demo: $(VENV)/.demo
	$(BIN)/napari-unet demo $(DEMO)

test: $(VENV)/.test
	$(BIN)/python -m pytest $(PARALLEL) $(TEST)

lint: $(VENV)/.lint
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/npe2 validate --imports napari.yaml

docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

screenshots: $(VENV)/.demo
	$(BIN)/python docs/make_screenshots.py

bench: $(VENV)/.bench
	$(BIN)/python benchmarks/speed.py $(BENCH)
	$(BIN)/python benchmarks/tiles.py
	$(BIN)/python benchmarks/weight_map.py
	$(BIN)/python benchmarks/warp.py
	$(BIN)/python benchmarks/precision.py

figures: $(VENV)/.bench
	$(BIN)/python -m benchmarks.figures --publish $(FIGURES)

clean:
	rm -rf $(VENV) site demo-output .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

# What is installed for a target. The manifest is copied by an editable install, so it counts too.
$(VENV)/.demo: EXTRAS := all
$(VENV)/.test: EXTRAS := all,test
$(VENV)/.lint: EXTRAS := all,lint
$(VENV)/.docs: EXTRAS := all,docs
$(VENV)/.bench: EXTRAS := all,encoders,bench

$(VENV)/.demo $(VENV)/.test $(VENV)/.lint $(VENV)/.docs $(VENV)/.bench: \
		pyproject.toml constraints.txt napari.yaml | system-packages $(VENV)/pyvenv.cfg
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[$(EXTRAS)]"
	@touch $@

$(VENV)/pyvenv.cfg: | system-packages
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer was not found; install it, or name it:" \
		"make PYTHON=/path/to/python3" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

system-packages:
	@bash scripts/system-packages.sh $(PYTHON)
