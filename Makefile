# The two commands of the README are `make demo` and `make test`; `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
BIN := .venv/bin

.PHONY: help demo test check lint types imports unit properties terraform-check terraform-short browser residency-proof bench bench-engine bench-limits bench-residency bench-webtransport fmt chaos soak interop docs proto lock recipe-test triton setup-runtime setup-dev setup-interop setup-triton setup-webtransport-client

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | sort | expand -t 16

setup-runtime:
	@scripts/setup.sh runtime
setup-dev:
	@scripts/setup.sh dev
setup-interop:
	@scripts/setup.sh interop
setup-triton: setup-interop
	@scripts/triton.sh --if-possible
setup-webtransport-client: setup-interop
	@scripts/webtransport_client.sh --if-possible

demo: setup-runtime  ## Speech in, words out: a whole region on this machine transcribes a shipped recording, live
	@$(BIN)/python scripts/demo.py

# Tests wait more than they compute, so half as many again run at once as there are cores. What times, kills under a
# deadline or fills the memory is marked `alone` and has the machine to itself.
AT_ONCE = $$(( ($$(nproc) * 3 + 1) / 2 ))
ALONE = $$(grep -rl --include='test_*.py' 'pytest\.mark\.alone' tests | xargs dirname | sort -u)

test: setup-interop  ## Everything, with the short form of each slow suite
	@$(MAKE) --no-print-directory -j2 -Otarget check setup-triton setup-webtransport-client terraform-short
	$(BIN)/pytest -q -n $(AT_ONCE) --dist loadfile -m 'not unit and not alone' tests
	$(BIN)/pytest -q -m alone $(ALONE)

check: lint types imports unit  ## ruff, mypy --strict, import rules, unit tests

lint: setup-interop
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
types: setup-interop
	$(BIN)/mypy
imports: setup-interop
	$(BIN)/lint-imports
unit: setup-interop
	$(BIN)/pytest -q -n auto --dist worksteal -m unit tests

properties: setup-dev  ## Properties over newly drawn examples, as make check draws the same ones in every run
	$(BIN)/pytest -q -n auto --dist worksteal --hypothesis-profile=drawn -m 'unit and hypothesis' tests

terraform-short: setup-interop
	@scripts/terraform_check.sh --if-possible

fmt: setup-dev  ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup-dev  ## Benchmarks of the gateway beside an echo server and HAProxy; see docs/benchmarks.md
	$(BIN)/python -m tests.benchmarks.gateway_load

bench-engine: setup-interop  ## Benchmarks of the engine beside sherpa-onnx: streams a core, step times; see docs/benchmarks.md
	$(BIN)/python -m tests.benchmarks.engine
	$(BIN)/python -m tests.benchmarks.engine_batches
	$(BIN)/python -m tests.benchmarks.engine_streams

bench-limits: setup-dev  ## What the limiter costs Redis and a gateway, beside the package limits and plain INCR; see docs/benchmarks.md
	$(BIN)/python -m tests.benchmarks.limits

residency-proof: setup-dev  ## A million drawn topologies, outages and callers, held against an oracle
	$(BIN)/python -m tests.proof

bench-residency: setup-dev  ## What a residency decision costs, asked, remembered and after a new bundle, beside plain cedarpy
	$(BIN)/python -m tests.benchmarks.residency
	$(BIN)/python -m tests.benchmarks.decision_log

browser: setup-dev  ## The console in headless Chromium; with PATCHBAY_LONG=1 the pictures of docs/console.md are taken anew
	$(BIN)/pytest -q tests/browser

bench-webtransport: setup-dev  ## WebTransport beside WebSocket: CPU a message, sessions a core, lag where packets are lost; see docs/benchmarks.md
	$(BIN)/python -m tests.benchmarks.webtransport

chaos: setup-dev  ## The long form of the scenarios in which things are killed
	$(BIN)/pytest -q --long tests/scenarios

soak: setup-dev  ## The long form of the isolation tests
	$(BIN)/pytest -q --long -m soak tests

interop: setup-webtransport-client  ## The same model and recordings through sherpa-onnx; sessions of a WebTransport client that is not ours
	$(BIN)/pytest -q --long -m interop tests

triton: setup-interop  ## The backend for NVIDIA Triton, against a real server on the CPU
	@scripts/triton.sh
	$(BIN)/pytest -q tests/triton

terraform-check: setup-dev  ## terraform/: fmt, validate, its tests, plans and applies against a local server, checkov; says what was run
	@scripts/terraform_check.sh

gpu-check:  ## What needs an NVIDIA GPU, in an environment of its own; says what was run
	@scripts/gpu_check.sh

RECIPE_PYTHON ?= .venv-recipe/bin/python
recipe-test:  ## The tests of the embedded model's recipe, in the environment that its README makes
	$(RECIPE_PYTHON) -m pytest -q -m recipe tests/engines/models/recipe

docs: setup-dev  ## Make the generated pages of docs/ anew
	$(BIN)/python -m gateway.errors_page > docs/errors.md

proto: setup-dev  ## Generate the code of the .proto files
	$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. --grpc_python_out=. \
	  engines/proto/engine.proto engines/proto/kserve.proto gateway/wire/proto/speech.proto
	$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. engines/proto/onnx_graph.proto gateway/escrow/proto/escrow.proto regions/proto/region.proto

lock:  ## Resolve the requirements anew (needs uv)
	echo 'setuptools>=77' | uv pip compile - --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -q -o requirements/build.txt
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -q -o requirements/runtime.txt
	uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -q -o requirements/dev.txt
	uv pip compile pyproject.toml --group dev --extra interop --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -q -o requirements/interop.txt
	echo 'pywebtransport==0.5.1' | uv pip compile - --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -q -o requirements/webtransport-client.txt
	echo 'pywebtransport==0.8.1' | uv pip compile - --no-deps --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -q -o requirements/webtransport-client-newer.txt
	echo 'checkov==3.3.30' | uv pip compile - --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -q -o requirements/checkov.txt
