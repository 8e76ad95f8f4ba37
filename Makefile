# Thin targets; the work is in dev/ and in the tools that pyproject.toml configures. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

# What starts a cluster around a command: dev/with-cluster, or dev/kind on a machine with Docker.
WITH_CLUSTER ?= dev/with-cluster
FRESH_CLUSTER ?= dev/fresh-cluster
IMAGES ?= 1

.PHONY: help demo demo-down test test-local test-sdk test-cluster test-long differential coverage check lint types layers \
	generate drift lock bench bench-scale soak screenshots docs changelog dist matrix verify-dist release-check clean

help:
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

demo: $(VENV)/ready ## a real Kubernetes and S3 server, the operator, a TaskRun and a flow; with KUBECONFIG set, your cluster
	@dev/demo

demo-down: ## remove everything `make demo` started
	@dev/cluster down && dev/cluster leftovers

test: check ## all tests, the ones on the real cluster included
	@echo "make test: test-local and test-cluster run beside each other (half an hour); each prints when it has ended"
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target LOCAL_NICE="nice -n 5" test-local test-cluster

test-local: $(VENV)/ready ## tests that need no cluster
	@command -v helm >/dev/null || dev/tools helm  # the chart is rendered
	@dev/browser >/dev/null  # the page is looked at
	$(LOCAL_NICE) pytest -m "not cluster and not long" -n auto --dist loadfile

test-sdk: $(VENV)/ready ## of these the tests of SDK, command and runner: they run on Python 3.10, too (make test-sdk PYTHON=python3.10)
	pytest -m "not cluster and not long" tests/unit/sdk tests/unit/runner tests/conformance

test-cluster: $(VENV)/ready ## tests on the real cluster; starts it when it is not up
	$(WITH_CLUSTER) pytest -m "cluster and not long" --timeout 600

test-long: $(VENV)/ready ## everything, with many more examples
	$(WITH_CLUSTER) pytest --timeout 3600

differential: ## record anew what prefect 2.0b5 does, in an environment of its own; fails where that changed
	"$$(dev/prefect-beta)" -m tests.differential.record

coverage: $(VENV)/ready ## branch coverage of the unit tests; fails where lifecycle or controller are not covered whole
	coverage run -m pytest -q -m "not cluster and not long" --timeout 900 tests/unit
	coverage combine -q
	coverage report --include 'sdk/podtask/core/lifecycle/*,operator/podtask_operator/controller/*,operator/podtask_operator/ownership/*' \
		--show-missing --fail-under 100
	coverage report --sort cover

check: lint types layers ## what needs no running code

lint: $(VENV)/ready
	ruff format --check .
	ruff check .

types: $(VENV)/ready
	mypy
	pyright --pythonpath $(BIN)/python

layers: $(VENV)/ready
	lint-imports

generate: $(VENV)/ready ## write what follows from code: version numbers, the CRD, its copy in the chart, the chart's README; the docs' reference and differences
	python -m dev.release.version
	python -m podtask.core.crd > crds/taskruns.podtask.dev.yaml
	python -m podtask.core.crd_flow_run > crds/flowruns.podtask.dev.yaml
	python -m podtask.core.crd_warm_pool > crds/warmpools.podtask.dev.yaml
	python charts/generate.py
	python -m tests.differential.document
	python -m tests.matrix.document
	python -m dev.docs

drift: generate ## fail if what is generated was not fresh
	git diff --exit-code -- crds charts docs examples README.md

# A server draws no table in a terminal: 12 MB of the image that nothing would import.
NO_TERMINAL := $(foreach name,rich pygments markdown-it-py mdurl,--no-emit-package $(name))
COMPILE := $(BIN)/python -m uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --quiet
lock: ## write requirements/ anew
	$(BIN)/python -m pip install --quiet uv
	$(COMPILE) pyproject.toml --python-version 3.10 -o requirements/runner.txt
	$(COMPILE) pyproject.toml --python-version 3.11 --extra operator --extra otel --extra ui $(NO_TERMINAL) -o requirements/operator.txt
	$(COMPILE) pyproject.toml --python-version 3.10 --extra kubernetes --extra cli --extra otel --extra ui --group test --group build -o requirements/sdk.txt
	$(COMPILE) pyproject.toml --python-version 3.10 --extra kubernetes -o requirements/driver.txt
	$(COMPILE) pyproject.toml --python-version 3.11 --extra operator --extra kubernetes --extra cli --extra otel --extra ui --group dev -o requirements/dev.txt
	echo 'hatchling>=1.27' | $(COMPILE) - --python-version 3.10 --no-annotate -o requirements/build.txt
	for bound in lowest highest; do grep -oE 'cloudpickle>=[0-9.]+' pyproject.toml | $(COMPILE) - --upgrade --resolution $$bound \
		--python-version 3.10 --no-annotate -o requirements/cloudpickle-$$bound.txt; done
	$(COMPILE) requirements/prefect-2.0b5.in --python-version 3.10 --no-annotate -o requirements/prefect-2.0b5.txt
	$(COMPILE) requirements/mitmproxy.in --python-version 3.11 --no-annotate -o requirements/mitmproxy.txt
	$(COMPILE) requirements/prefect-3.in --overrides requirements/prefect-3.overrides --python-version 3.11 --no-annotate \
		-o requirements/prefect-3.txt

matrix: $(VENV)/ready ## try other versions of Kubernetes, S3 servers, Python, Helm; PARTS='"Kubernetes 1.37"' for some
	python -m tests.matrix $(PARTS)

bench: $(VENV)/ready ## tables of measurements (needs the cluster)
	dev/with-cluster python -m tests.bench

MOST ?= 10000
bench-scale: $(VENV)/ready ## how far one operator goes: sizes up to MOST (10000), a small tenant beside a big one, two releases, a restart (needs the cluster)
	dev/with-cluster python -m tests.bench.bench_size --most $(MOST)

MINUTES ?= 20
soak: $(VENV)/ready ## MINUTES (20) of 5 TaskRuns a second with a warm pool; fails where something is left over or grows (needs the cluster)
	dev/with-cluster python -m tests.bench.soak --minutes $(MINUTES)

screenshots: $(VENV)/ready ## the pictures of the page in docs/assets, taken anew with Chromium
	python -m dev.page.screenshots

docs: $(VENV)/ready ## the documentation as a site, in build/site
	zensical build --clean --strict

changelog: $(VENV)/ready ## what the next section of the changelog will be, from changes/
	towncrier build --draft --version "$$(python -m dev.release.version --print)"

dist: $(VENV)/ready ## the files of a release, in dist/: wheel, sdist, chart, CRD, install.yaml, images (not with IMAGES=), SBOMs, krew manifest, checksums
	@command -v helm >/dev/null || dev/tools helm
	python -m dev.release dist $(if $(IMAGES),--images)

verify-dist: $(VENV)/ready ## install from exactly the files in dist/ and try them, here and on a fresh cluster; PREVIOUS=FOLDER: with the upgrade from there
	@command -v helm >/dev/null || dev/tools helm
	python -m dev.release.verify dist
	$(if $(IMAGES),$(FRESH_CLUSTER) python -m dev.release.installed dist $(PREVIOUS))

release-check: $(VENV)/ready ## fail unless TAG is the version, and the changelog is ready for it
	python -m dev.release.version --tag "$(TAG)"

clean:
	rm -rf $(VENV) dist build/site .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

$(VENV)/ready: requirements/dev.txt pyproject.toml
	dev/venv $(PYTHON) $(VENV)
	touch $@
