# minigrad's commands. `make run` and `make test` need nothing but Python 3.11 or newer, and make.

PYTHON  ?= python3
VENV    ?= .venv
CHAPTER ?= grokking
ARGS    ?=
JOBS    ?= 2

BIN     := $(VENV)/bin
PY      := $(BIN)/python
INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt
HTML    := book/_build/html

# Tests and notebooks run in parallel processes, so each keeps its linear algebra on one thread.
QUIET   := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
NBVAL   := --nbval-sanitize-with tests/nbval_sanitize.cfg --nbval-cell-timeout=300 \
           -p no:cacheprovider -n $(JOBS) --dist loadfile -q

.DEFAULT_GOAL := help
.PHONY: help run lab test check lint types fast nbval book fuzz mutants bench notebooks exercises clean distclean

help:
	@echo "make run [CHAPTER=grokking]  set up, re-run a chapter, show its claims and figures"
	@echo "make test                    everything: lint, types, tests, notebooks, book, pages"
	@echo "make check                   the developer's inner loop: lint, types, fast tests"
	@echo "make lab                     the chapters in JupyterLab"
	@echo "make book                    the book, in $(HTML)"
	@echo "make notebooks               execute all chapters and store their outputs"
	@echo "make exercises               the students' notebooks, from exercises/source"
	@echo "make fuzz                    20,000 random programs against JAX"
	@echo "make mutants [ARGS=huber]    break the zoo's formulas one by one; its tests must notice"
	@echo "make bench                   speed beside PyTorch, JAX, autograd and MyGrad"
	@echo "make clean | distclean       remove what was built | and the environment"

# ---- Environments: installed once, and again only when the requirements change ----------------

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "minigrad needs Python 3.11 or newer; choose one with: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed-notebooks: pyproject.toml constraints.txt | $(VENV)/pyvenv.cfg
	@echo "Installing minigrad and what its chapters need into $(VENV) (once)"
	@$(INSTALL) -e '.[notebooks]'
	@touch $@

$(VENV)/.installed-book: pyproject.toml constraints.txt | $(VENV)/pyvenv.cfg
	@echo "Installing what the book needs into $(VENV) (once)"
	@$(INSTALL) -e '.[notebooks,book]'
	@touch $@ $(VENV)/.installed-notebooks

$(VENV)/.installed-test: pyproject.toml constraints.txt | $(VENV)/pyvenv.cfg
	@echo "Installing what the tests, the chapters and the book need into $(VENV) (once)"
	@$(INSTALL) -e '.[test,book]'
	@touch $@ $(VENV)/.installed-notebooks $(VENV)/.installed-book

$(VENV)/.installed-bench: pyproject.toml constraints.txt | $(VENV)/pyvenv.cfg
	@echo "Installing PyTorch, JAX, autograd and MyGrad into $(VENV) (once)"
	@$(INSTALL) -e '.[bench]'
	@touch $@

# ---- For readers ------------------------------------------------------------------------------

run: $(VENV)/.installed-notebooks
	@$(PY) -m minigrad run $(CHAPTER) $(ARGS)

lab: $(VENV)/.installed-notebooks
	$(QUIET) $(PY) -m jupyterlab notebooks

book: $(VENV)/.installed-book
	$(PY) -m sphinx -W --keep-going -q -b html -d book/_build/.doctrees book $(HTML)
	@echo "The book: $(HTML)/index.html"

# ---- For developers ---------------------------------------------------------------------------

lint: $(VENV)/.installed-test
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: $(VENV)/.installed-test
	$(PY) -m mypy

fast: $(VENV)/.installed-test
	$(QUIET) $(PY) -m pytest -q -m "not slow" -n $(JOBS)

check: lint types fast

# Every chapter is executed again and its stored outputs are compared, strictly. The exercises'
# sources, which store no outputs, are executed: every solution must pass its own tests.
nbval: $(VENV)/.installed-test
	$(QUIET) $(PY) -m pytest --nbval notebooks $(NBVAL)
	@if [ -d exercises/source ]; then set -x; \
	  $(QUIET) $(PY) -m pytest --nbval-lax exercises/source $(NBVAL); fi

# pytest comes last: its summary is the last thing to read. It names what was not run, and why.
test: $(VENV)/.installed-test lint types nbval
	rm -rf $(HTML) book/_build/.doctrees
	$(PY) -m sphinx -W --keep-going -q -b html -d book/_build/.doctrees book $(HTML)
	$(QUIET) $(PY) -m pytest -q -n $(JOBS) --dist loadfile

fuzz: $(VENV)/.installed-test
	$(QUIET) $(PY) tests/fuzz.py --programs 20000 --inputs 1 --jobs $(JOBS)

# A number 1 % larger, a flipped sign or comparison: whichever change no test notices is printed.
mutants: $(VENV)/.installed-test
	$(QUIET) $(PY) tests/zoo/mutate.py --jobs $(JOBS) $(ARGS)

# Interleaved timings beside PyTorch, JAX, autograd and MyGrad, best on an otherwise idle machine.
bench: $(VENV)/.installed-bench
	$(PY) -m tests.benchmarks $(ARGS)

notebooks: $(VENV)/.installed-test
	$(PY) -m minigrad execute $(ARGS)

exercises: $(VENV)/.installed-test
	$(PY) tools/build_exercises.py

clean:
	rm -rf book/_build book/_generated book/notebooks book/exercises book/api book/zoo runs build dist
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find minigrad tests tools book notebooks exercises -name __pycache__ -prune -exec rm -rf {} +
	find notebooks exercises -name .ipynb_checkpoints -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV)
