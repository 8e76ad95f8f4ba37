# Thin targets; the work is in dev/ and in the tools that pyproject.toml configures. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help demo demo-down test test-local test-cluster test-long differential check lint types layers generate lock bench screenshots docs clean

help:
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

demo: $(VENV)/ready ## a real Kubernetes and S3 server, the operator, a TaskRun and a flow; with KUBECONFIG set, your cluster
	@dev/demo

demo-down: ## remove everything `make demo` started
	@dev/cluster down && dev/cluster leftovers

test: check test-local test-cluster ## all tests, the ones on the real cluster included

test-local: $(VENV)/ready ## tests that need no cluster
	@command -v helm >/dev/null || dev/tools helm  # the chart is rendered
	@dev/browser >/dev/null  # the page is looked at
	pytest -m "not cluster and not long"

test-cluster: $(VENV)/ready ## tests on the real cluster; starts it when it is not up
	dev/with-cluster pytest -m "cluster and not long" --timeout 600

test-long: $(VENV)/ready ## everything, with many more examples
	dev/with-cluster pytest --timeout 3600

differential: ## record anew what prefect 2.0b5 does, in an environment of its own; fails where that changed
	"$$(dev/prefect-beta)" -m tests.differential.record

check: lint types layers ## what needs no running code

lint: $(VENV)/ready
	ruff format --check .
	ruff check .

types: $(VENV)/ready
	mypy
	pyright --pythonpath $(BIN)/python

layers: $(VENV)/ready
	lint-imports

generate: $(VENV)/ready ## write what is generated from code: the CRDs, their copies in the chart, the chart's README; the docs' reference and differences
	python -m podtask.core.api.crd > crds/taskruns.podtask.dev.yaml
	python -m podtask.core.api.crd flowruns > crds/flowruns.podtask.dev.yaml
	python charts/generate.py
	python -m tests.differential.document
	python -m dev.docs

COMPILE := $(BIN)/python -m uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --quiet
lock: ## write requirements/ anew
	$(BIN)/python -m pip install --quiet uv
	$(COMPILE) pyproject.toml --python-version 3.10 -o requirements/runner.txt
	$(COMPILE) pyproject.toml --python-version 3.11 --extra operator -o requirements/operator.txt
	$(COMPILE) pyproject.toml --python-version 3.11 --extra operator --extra kubernetes --extra cli --extra ui --group dev -o requirements/dev.txt
	echo 'hatchling>=1.27' | $(COMPILE) - --python-version 3.10 --no-annotate -o requirements/build.txt
	$(COMPILE) requirements/prefect-2.0b5.in --python-version 3.10 --no-annotate -o requirements/prefect-2.0b5.txt
	$(COMPILE) requirements/mitmproxy.in --python-version 3.11 --no-annotate -o requirements/mitmproxy.txt
	$(COMPILE) requirements/prefect-3.in --overrides requirements/prefect-3.overrides --python-version 3.11 --no-annotate \
		-o requirements/prefect-3.txt

bench: $(VENV)/ready ## tables of measurements (needs the cluster)
	dev/with-cluster python -m tests.bench

screenshots: $(VENV)/ready ## the pictures of the page in docs/assets, taken anew with Chromium
	python -m dev.page.screenshots

docs: $(VENV)/ready ## the documentation as a site, in build/site
	zensical build --clean --strict

clean:
	rm -rf $(VENV) build/site .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

$(VENV)/ready: requirements/dev.txt pyproject.toml
	dev/venv $(PYTHON) $(VENV)
	touch $@
