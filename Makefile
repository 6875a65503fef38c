# make certify   the main job: proves the requirements against the emulated ECU, leaves a report
# make test      the project's own tests
# make check     ruff and mypy
# make clean     removes the environment and everything a run leaves
#
# PYTHON=/path/to/python3 chooses the interpreter (3.11 or newer), VENV=/path where the environment is made,
# ARGS="--bench model --seed 7" goes to the command.

.DEFAULT_GOAL := help
VENV ?= .venv
ARGS ?=
RUN := "$(VENV)/bin/python"

# The first interpreter that runs and is new enough; version managers leave names that do not run.
ifndef PYTHON
PYTHON := $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
endif

.PHONY: help certify test check lock venv clean

help:
	@sed -n 's/^# \{0,1\}//p;/^$$/q' Makefile

certify: venv
	@$(RUN) -m rig certify $(ARGS)

test: venv
	@$(RUN) -m pytest --numprocesses auto --maxprocesses 4 --dist loadgroup $(ARGS)

check: venv
	@$(RUN) -m ruff check .
	@$(RUN) -m mypy

venv:
	@if [ -z "$(PYTHON)" ]; then \
		echo "unlock-rig: no Python 3.11 or newer found; install one, or name it: make PYTHON=/path/to/python3" >&2; \
		exit 2; fi
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "unlock-rig: $(PYTHON) does not run or is older than Python 3.11; name another: make PYTHON=..." >&2; \
		exit 2; }
	@"$(PYTHON)" ci/bootstrap.py --venv "$(VENV)"

# Writes requirements.lock anew from pyproject.toml, for every Python and platform at once.
lock: venv
	@$(RUN) -m pip install --quiet --target out/uv --upgrade uv
	@out/uv/bin/uv pip compile pyproject.toml --extra dev --extra links --extra bluetooth --extra interop \
		--extra report --universal --python-version 3.11 --generate-hashes \
		--no-header --no-emit-index-url --no-emit-find-links --quiet --upgrade --output-file out/requirements.txt
	@{ sed -n '/^#/p;/^[^#]/q' requirements.lock; cat out/requirements.txt; } > out/requirements.lock
	@mv out/requirements.lock requirements.lock

clean:
	rm -rf "$(VENV)" out build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
