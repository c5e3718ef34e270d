# make demo   trains a classifier on gpukern's kernels        make test   the tests (tests/README.md)
# make test-fast  without the slow ones; make test-nightly  all, with further samples of the same questions
# make build  the extension, in place                         make lint   ruff, mypy, clang-format
# make sanitize  the host C++ with AddressSanitizer and UBSan, built apart (build/sanitize) and tested; needs g++
# make gpu-check  all that a GPU can say: build, tests, sanitizers, benchmark; without one it says what it would run
# make record  writes all that is generated or recorded anew: stubs, choices, golden figures, tests/*/*.json
# make stubs  writes gpukern/ops.pyi anew
# make inspect  what the GPU code takes, checked              make inspect-golden  writes tests/platform/golden anew
# Each makes .venv with the pinned requirements if there is none, and builds what changed.
# To use an environment of your own: make test VENV=/path/to/venv PIP_INSTALL=: (it needs requirements-dev.txt)

SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
PY := $(VENV)/bin/python
PIP_INSTALL ?= $(PY) -m pip install --quiet --disable-pip-version-check
STAMP := $(VENV)/.gpukern-requirements

.PHONY: demo test test-fast test-nightly sanitize gpu-check build inspect inspect-golden stubs record lint format clean env
.DEFAULT_GOAL := build

env: $(STAMP)

# Made again whenever the requirements change.
$(STAMP): requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "gpukern: $(PYTHON) is older than 3.10; run: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(PY) || { echo "gpukern: making $(VENV)"; $(PYTHON) -m venv $(VENV) || \
	  { echo "gpukern: no venv module (Debian: apt install python3-venv)"; exit 1; }; }
	@echo "gpukern: installing the pinned requirements into $(VENV)"
	@$(PIP_INSTALL) -r requirements-dev.txt
	@cp requirements-dev.txt $@

# ninja decides what is out of date, so this always asks it.
build: $(STAMP)
	@$(PY) setup.py -q build_ext --inplace

demo: build
	@$(PY) -m gpukern demo

# One test process a core (TEST_JOBS=0: in this one).
TEST_JOBS ?= auto
PYTEST := $(PY) -m pytest -n $(TEST_JOBS) --dist loadgroup
test: build
	@$(PYTEST) -m "not nightly"

# Without the tests marked slow (compilers, subprocesses, the kernels under the machine model).
test-fast: build
	@$(PYTEST) -m "not slow and not nightly"

# With what repeats a question on further samples.
test-nightly: build
	@$(PYTEST)

# Builds what changed in build/sanitize, then asks a sample of the tests (tests/sanitizers/run.py).
sanitize: $(STAMP)
	@$(PY) -m tests.sanitizers.run -n $(TEST_JOBS) --dist loadgroup

# The riskiest first, then everything, under a watchdog (tests/gpu/check.py). benchmarks/results/ and docs/validation.md
# say what came out, build/gpu-check/ what each step said. Exit 1: wrong, hung or crashed; 2: no GPU; 130: interrupted.
gpu-check: $(STAMP)
	@$(PY) -m tests.gpu.check

# Every GPU kernel for every target, CUDA and HIP: registers, stack, instructions, seconds and bytes against the budget.
inspect: build
	@$(PY) -m tests.platform.inspection

inspect-golden: build
	@$(PY) -m tests.platform.inspection --golden

# What type checkers know of the functions, from the signatures that their parser reads.
stubs: build
	@$(PY) -m gpukern.stubs

# All that is generated from the sources or recorded by running them, for a commit of its own (tests/record.py).
record: build
	@$(PY) -m tests.record

CXX_FILES = $(shell find csrc tests -name '*.h' -o -name '*.cuh' -o -name '*.cpp' -o -name '*.cu')

lint: $(STAMP)
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check --quiet .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/clang-format --dry-run -Werror $(CXX_FILES)
	@echo "lint: clean"

format: $(STAMP)
	@$(VENV)/bin/ruff check --fix --quiet .
	@$(VENV)/bin/ruff format --quiet .
	@$(VENV)/bin/clang-format -i $(CXX_FILES)

clean:
	rm -rf build dist *.egg-info gpukern/*.so gpukern/built.json
