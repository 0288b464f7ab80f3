# One way in: `make` says what there is. All of it needs make and a Python 3.11 to 3.13; .ci/bootstrap brings the rest.
# Paths are relative, so the folder may have any name. No target needs git, a terminal or standard input.

.DEFAULT_GOAL := help
.PHONY: help run test lint bench bench-operator crds images sbom clean
.PHONY: cluster-binaries test-cluster cluster-up cluster-down cluster-status test-e2e test-soak

PROCESSES ?= 2
PYTHON_IN_VENV := .venv/bin/python
ROOMS := api operator pipeline tests examples

help: ## What can be made
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' Makefile

run: .venv/.ready-run ## The tournament of examples/sp500-tournament.yaml, then its verification
	@.venv/bin/backsweep run examples/sp500-tournament.yaml --output runs/sp500-tournament
	@.venv/bin/backsweep verify runs/sp500-tournament/manifest.json

test: lint ## Lint, types, import contracts, and all tests that need no cluster
	@$(PYTHON_IN_VENV) -m pytest -n $(PROCESSES) --dist worksteal --ignore=tests/cluster --ignore=tests/e2e

lint: .venv/.ready-dev ## Style, import contracts and types alone
	@$(PYTHON_IN_VENV) -m ruff check --quiet $(ROOMS)
	@$(PYTHON_IN_VENV) -m ruff format --quiet --check $(ROOMS)
	@.venv/bin/lint-imports --config importlinter.ini --no-logo
	@$(PYTHON_IN_VENV) -m mypy

cluster-binaries: .venv/.ready-dev ## Kubernetes, KubeRay, KWOK, Kueue and Helm for test-cluster; built once, with Go, into ~/.cache/backsweep
	@$(PYTHON_IN_VENV) -m tests.cluster.binaries

test-cluster: cluster-binaries ## The tests against a real Kubernetes API server and KubeRay (docs/development-cluster.md)
	@$(PYTHON_IN_VENV) -m pytest -n 3 --dist loadfile --no-loadscope-reorder tests/cluster

images: .venv/.ready-dev ## The container images, without a container engine (docs/images.md); root
	@sh .ci/cluster-packages
	@$(PYTHON_IN_VENV) -m tests.cluster.images

sbom: .venv/.ready-dev ## What each image holds beside its base, as CycloneDX, into build/sbom/
	@sh images/sbom.sh

cluster-up: .venv/.ready-dev ## A real Kubernetes of one node on this machine, whose pods run; root
	@sh .ci/cluster-packages
	@$(PYTHON_IN_VENV) -m tests.cluster.node up

cluster-down: .venv/.ready-dev ## Stop that node and all it ran
	@$(PYTHON_IN_VENV) -m tests.cluster.node down

cluster-status: .venv/.ready-dev ## What of that node is up
	@$(PYTHON_IN_VENV) -m tests.cluster.node status

test-e2e: images ## The tests with real pods, on the node that is up or on one for them alone; root
	@$(PYTHON_IN_VENV) -m pytest tests/e2e

test-soak: images ## All failures on real pods, on a long sweep (docs/failures-on-a-cluster.md); root
	@rm -f build/failures.md
	@BACKSWEEP_SOAK=1 $(PYTHON_IN_VENV) -m pytest tests/e2e/test_failures.py tests/e2e/soak_ends.py

bench: .venv/.ready-dev ## The figures of docs/benchmarks.md, as Markdown tables in build/bench/ (many minutes: peers are slow)
	@for table in imports planning peers tournament cached hundred_thousand ray_speedup worker_start prefect_overhead linalg; do $(PYTHON_IN_VENV) -m tests.benchmarks.$$table || exit 1; done

bench-operator: cluster-binaries ## The operator at 1,000 sweeps against a real API server (8 minutes), into build/bench/
	@$(PYTHON_IN_VENV) -m tests.benchmarks.operator

crds: .venv/.ready-dev ## The CustomResourceDefinition and its admission policy, again from the models in api/
	@.venv/bin/backsweep schema --crd > crds/backsweep.dev_backtestsweeps.yaml
	@.venv/bin/backsweep schema --policy > crds/backsweep.dev_admission.yaml
	@cp crds/*.yaml charts/backsweep-crds/templates/

clean: ## Remove what make brought and built; runs/ and .backsweep/ are yours and stay
	@rm -rf .venv .tools build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# The two environments share .venv: dev holds all that run needs. A stamp newer than the lock makes the next call start at once.
.venv/.ready-run: uv.lock pyproject.toml .ci/bootstrap
	@sh .ci/bootstrap run
	@touch $@

.venv/.ready-dev: uv.lock pyproject.toml .ci/bootstrap
	@sh .ci/bootstrap dev
	@touch .venv/.ready-run $@
