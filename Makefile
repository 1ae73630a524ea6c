# On a machine with Python 3.10 or later and make, each target does its own set-up, once.
#   make demo     the main commands on the bundled models (two minutes)
#   make test     the tests
#   make check    ruff, and mypy over all three folders
#   make fuzz     every reader of files, with files that are not as they should be (three minutes)
#   make docs     the pages in docs/ as HTML, in build/docs; runs the notebooks
#   make notebooks  runs the notebooks and keeps what they print in docs/notebooks
#   make package  the wheel and the sdist in dist/, tried in an environment of their own
#   make clean    removes all that these made but the demo's results
# PYTHON=python3.12 chooses the interpreter, VENV=folder another environment.

PYTHON = python3
VENV = .venv
RUN = $(VENV)/bin/python -m
INSTALL = $(RUN) pip install -c constraints.txt
STAMP = $(VENV)/.latentmap-installed
DOCS_STAMP = $(VENV)/.latentmap-docs-installed
PACKAGE_STAMP = $(VENV)/.latentmap-package-installed
# Stands in environments that make made: only these are emptied and removed.
MADE = $(VENV)/.latentmap-made
DEMO_ARGS =
# Each worker takes one half, and then of what the other has left: what a file of tests makes once is rarely made twice.
PYTEST_ARGS = -n 2 --dist worksteal --durations 40
NOT_INSTALLED = { echo 'Not installed, for the reason above: pip needs a network, and up to 6 GB of disk.' >&2; exit 1; }

# For each of ten targets, two at a time. A seed, so that a change is judged by the same cases; others find more.
FUZZ_SECONDS = 30
FUZZ_ARGS = --seed 24

.PHONY: demo test check fuzz docs notebooks format types pyright package clean

demo: $(STAMP)
	$(RUN) latentmap.cli demo $(DEMO_ARGS)

test: $(STAMP)
	$(RUN) pytest $(PYTEST_ARGS)

check: $(STAMP) types
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	$(RUN) mypy tests benchmarks conftest.py

fuzz: $(STAMP)
	$(RUN) tests.fuzz.run --seconds $(FUZZ_SECONDS) --jobs 2 $(FUZZ_ARGS)

# A warning is an error, so that no link and no name leads nowhere.
docs: $(DOCS_STAMP)
	$(RUN) sphinx -q -W -b html -d build/doctrees docs build/docs

# Without times, so that only what they print changes.
notebooks: $(DOCS_STAMP)
	LATENTMAP_CACHE=$(CURDIR)/build/notebooks $(RUN) jupyter execute --inplace \
	  --NotebookClient.record_timing=False docs/notebooks/*.ipynb

format: $(STAMP)
	$(RUN) ruff check --fix .
	$(RUN) ruff format .

# Type checkers do not follow package_dir: on the checkout mypy would leave out encoders/ and cli/ and say Success.
types:
	rm -rf build/typing
	mkdir -p build/typing/latentmap
	ln -s "$(CURDIR)"/latentmap/* "$(CURDIR)/encoders" "$(CURDIR)/cli" build/typing/latentmap/

# Not in check: the first run of pyright downloads node.
pyright: $(STAMP) types
	$(RUN) pip install pyright
	$(RUN) pyright

# The wheel is built from the sdist. Equal sources make equal wheels: the times in it are those of the last commit, and
# without git the first that a zip can hold.
package: $(PACKAGE_STAMP)
	SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct 2>/dev/null || echo 315532800)} \
	  $(RUN) build --outdir dist .
	$(RUN) twine check --strict dist/*
	$(RUN) pytest tests/distributions.py

clean:
	rm -rf build dist latentmap.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis __pycache__
	find latentmap encoders cli tests benchmarks docs -name __pycache__ -exec rm -rf {} +
	@if test -e $(MADE); then echo rm -rf $(VENV); rm -rf $(VENV); fi

# The stamp is the last step, so that an interrupted installation starts again. An environment of make's own whose
# interpreter has gone is made anew.
$(STAMP): setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo 'latentmap needs Python 3.10 or later: make PYTHON=python3.12 ...' >&2; exit 1; }
	@if ! $(VENV)/bin/python -m pip --version >/dev/null 2>&1; then \
	  if test -e $(VENV) && ! test -e $(MADE); then \
	    echo '$(VENV) is no environment with pip: move it away, or choose another with make VENV=folder ...' >&2; exit 1; \
	  fi; \
	  rm -rf $(VENV) && mkdir -p $(VENV) && touch $(MADE) && $(PYTHON) -m venv $(VENV) || { \
	    echo 'No environment, for the reason above: Python needs its module venv' \
	      '(Debian and Ubuntu: apt install python3-venv), and disk.' >&2; exit 1; }; \
	fi
	@$(INSTALL) -e ".[dev]" || $(NOT_INSTALLED)
	@touch $(STAMP)

$(DOCS_STAMP): $(STAMP)
	@$(INSTALL) -e ".[docs]" || $(NOT_INSTALLED)
	@touch $(DOCS_STAMP)

$(PACKAGE_STAMP): $(STAMP)
	@$(INSTALL) -e ".[package]" || $(NOT_INSTALLED)
	@touch $(PACKAGE_STAMP)
