# The project's verbs. Each makes the environment that it needs: a fresh machine has Python 3.11 or later with its
# venv module, make, and nothing else. `make help` lists them.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:

# PYTHON chooses another interpreter for an environment that does not exist yet, VENV another environment.
PYTHON ?=
VENV ?= .venv
WORKERS ?= auto
ARGS ?=
RUN := $(VENV)/bin/python

# One stamp for each set of extras. They are made again when the settings of the project change, or what is compiled.
# MIDSTREAM_COMPILED=0 is for what runs, not for what is installed; in CI what can be compiled must be.
DEMO := $(VENV)/.made-demo
TEST := $(VENV)/.made-test
DEV := $(VENV)/.made-dev

$(VENV)/.made-%: pyproject.toml hatch_build.py src/midstream/_version.py $(wildcard src/midstream/usual/_*.px*)
	@test -x $(RUN) || { python="$(PYTHON)"; \
	  test -n "$$python" || python=$$(python3 tools/pythons.py oldest) || exit 1; \
	  echo "making $(VENV) with $$python ($$($$python --version))"; "$$python" -m venv $(VENV) || { rm -rf $(VENV); exit 1; }; }
	@echo "installing midstream[$*] into $(VENV)"
	@MIDSTREAM_COMPILED=$(if $(filter true,$(CI)),1) $(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@

.PHONY: help
help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: demo
demo: $(DEMO) ## watch a reply break twice and finish; no key, no network
	@$(RUN) -m midstream demo $(ARGS)

.PHONY: test
test: $(TEST) ## the whole suite, but for what is marked slow
	$(RUN) -m pytest -n $(WORKERS) -m "not slow" $(ARGS)

.PHONY: test-slow
test-slow: $(TEST) ## what is marked slow
	$(RUN) -m pytest -n $(WORKERS) -m slow $(ARGS)

.PHONY: test-all-pythons
test-all-pythons: ## `make test` on the oldest and the newest supported Python of this machine
	@found=$$(python3 tools/pythons.py venvs) || exit 1; status=0; \
	for venv in $$(echo "$$found" | cut -d' ' -f1); do \
	  python=$$(echo "$$found" | grep "^$$venv " | cut -d' ' -f2-); \
	  echo "== make test on $$($$python --version)"; \
	  $(MAKE) --no-print-directory test VENV=$$venv PYTHON="$$python" || status=1; \
	done; exit $$status

.PHONY: coverage
coverage: $(DEV) ## which branches each module's own test module leaves out
	@$(RUN) tools/own_coverage.py $(ARGS)

.PHONY: check
check: check-format check-lint check-types check-api check-docs ## format, lint, types, public types, docs

.PHONY: check-format check-lint check-types check-api check-docs
check-format: $(DEV)
	$(RUN) -m ruff format --check .
check-lint: $(DEV)
	$(RUN) -m ruff check .
check-types: $(DEV)
	$(RUN) -m mypy
check-api: $(DEV)
	$(RUN) -m pyright --pythonpath $(RUN)
	$(RUN) -m mypy tests/typing
check-docs: $(DEV)
	$(RUN) tools/docs.py

.PHONY: format
format: $(DEV) ## let ruff format and mend what it can
	$(RUN) -m ruff format .
	$(RUN) -m ruff check --fix .

.PHONY: sim
sim: $(TEST) ## the whole system on a virtual clock: SEED=n replays one seed, N=n draws that many
	@$(RUN) -m simulation $(if $(SEED),--seed $(SEED)) $(if $(N),--runs $(N)) $(ARGS)

.PHONY: fuzz
fuzz: $(TEST) ## any bytes at all, into both decoders and the engine: SECONDS=n
	@$(RUN) -m fuzz $(if $(SECONDS),--seconds $(SECONDS)) $(ARGS)

# The interpreter of the system is built for speed, those of pyenv often are not: ratios are quoted from the former.
.PHONY: bench
bench: ## what it costs, beside the bare SDK and botocore, in one run
	@python=$$(python3 tools/pythons.py system) && \
	$(MAKE) --no-print-directory bench-here VENV=.venv-bench PYTHON="$$python"

.PHONY: bench-here
bench-here: $(TEST)
	@$(RUN) -m bench $(ARGS)

.PHONY: bench-gateway
bench-gateway: ## what an event costs through midstream, beside nginx and LiteLLM, in one run
	@python=$$(python3 tools/pythons.py system) && \
	$(MAKE) --no-print-directory bench-gateway-here VENV=.venv-bench PYTHON="$$python"

.PHONY: bench-gateway-here
bench-gateway-here: $(TEST)
	@$(RUN) -m bench.gateway $(ARGS)

.PHONY: load-gateway
load-gateway: $(TEST) ## 2,000 streams through one gateway, slow and stopped readers: nothing lost, nothing piled up
	@$(RUN) -m bench.gateway_load $(ARGS)

.PHONY: every-cut
every-cut: $(TEST) ## every capture, cut at every byte, by every fault: hours; resumable; SHARE=0.001 draws
	@$(RUN) -m bench.every_cut $(if $(SHARE),--share $(SHARE)) $(ARGS)

.PHONY: probe-table
probe-table: $(TEST) ## probe real proxies with their true defaults, and write docs/reference/probe-table.md: 3 minutes
	@$(RUN) -m bench.probe_table $(ARGS)

.PHONY: seams
seams: $(TEST) ## how well two texts are joined, on the corpus, for every style of model; SHARE=0.01 draws
	@$(RUN) -m bench.seams $(if $(SHARE),--share $(SHARE)) $(ARGS)

.PHONY: crash
crash: $(TEST) ## kill -9 a gateway at drawn moments, with streams running: N=n kills (200), SEED=n
	@$(RUN) -m bench.crash $(if $(N),--kills $(N)) $(if $(SEED),--seed $(SEED)) $(ARGS)

.PHONY: mutants
mutants: $(TEST) ## that the checks can fail: named mutations, each of which turns its check red
	@$(RUN) -m bench.mutants $(ARGS)

.PHONY: docs
docs: $(DEV) ## make the generated parts of the docs again, then check links and code
	$(RUN) tools/docs.py --write

.PHONY: clean
clean: ## remove what can be made again, the environments included
	rm -rf .venv .venv-3.* .venv-bench build dist var htmlcov .coverage .coverage.*
	rm -f src/midstream/usual/_compiled.*.so src/midstream/usual/_compiled.*.pyd
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name .git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
