# make design   set up once, run `molvae design`, print where the results are (arguments: ARGS="lead.toml --out DIR")
# make test     set up once, then run make check
# make check    format, lint, types, dependencies, figures, tests, wheel, documentation
# make docs     the documentation site, in site/ (python3 -m http.server -d site shows it)
# make audit    known vulnerabilities of the pinned packages (needs the network)
# make sbom     sbom.json: the packages that the tests use, and the libraries inside pages (CycloneDX)
# make bench    molecules per second on this machine
# make soak     every injected fault, and large jobs; takes hours (docs/reliability.md)
#
# Needs Python 3.11 or newer with pip; another interpreter: make design PYTHON=/path/to/python3.11

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ARGS ?=
DOCS := NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
THREADS := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE

.PHONY: design test check docs audit sbom bench soak setup
.DEFAULT_GOAL := design

design: $(READY)
	@$(BIN)/molvae design $(ARGS)

test: $(READY) check

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/deptry .
	$(BIN)/python docs/figures.py --check
	$(THREADS) $(BIN)/pytest -n 2 --dist loadfile \
		--cov=molvae --cov=pipeline --cov-report=term:skip-covered --cov-fail-under=90
	$(THREADS) $(BIN)/pytest -n 2 -m slow tests/test_notebooks.py tests/test_wheel.py
	$(DOCS)

docs: $(READY)
	$(DOCS)

# Not in check: it asks a server. --strict: without it, pip-audit finds nothing where it could not ask.
audit:
	@test -x .venv-audit/bin/pip-audit || $(PYTHON) -m venv .venv-audit
	@.venv-audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	.venv-audit/bin/pip-audit --strict --requirement constraints.txt --no-deps --disable-pip

sbom: $(READY)
	$(BIN)/python docs/sbom.py sbom.json

bench: $(READY)
	$(BIN)/python benchmarks/throughput.py

soak: $(READY)
	$(THREADS) $(BIN)/pytest -m "slow or not slow" tests/faults tests/pipeline/test_resume.py
	$(THREADS) $(BIN)/python benchmarks/load.py campaigns
	$(THREADS) $(BIN)/python benchmarks/load.py library data/moses_train.csv.gz
	$(THREADS) $(BIN)/python benchmarks/load.py candidates

setup: $(READY)

# The stamp is written last, so an interrupted set-up is repeated; a complete one only if these two files change.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "molvae needs Python 3.11 or newer; try: make PYTHON=python3.11" >&2; exit 1; }
	@echo "Setting up $(VENV) from constraints.txt; this takes a few minutes, once."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		--editable '.[pipeline,evaluate,search,dev,docs]'
	@touch $@

