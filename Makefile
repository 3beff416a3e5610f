PY := .venv/bin/python
.DEFAULT_GOAL := help
.PHONY: help setup demo test chaos host rules check bench

help: ## what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/:/'

setup: ## .venv and .tools, once
	@scripts/setup

demo: setup ## restores started by HTTP and by a queue message, end to end, on this machine
	@PATH="$(CURDIR)/.venv/bin:$$PATH" $(PY) -m scripts.demo

host: setup ## simulator, Azurite and the app until Ctrl-C
	@PATH="$(CURDIR)/.venv/bin:$$PATH" $(PY) -m scripts.host

rules: setup ## what FILE=rules.json says about ALERT=alert.json, without doing it; FILE alone is checked
	@$(PY) -m scripts.rules $(FILE) $(ALERT)

test: setup ## the whole test suite
	@PATH="$(CURDIR)/.venv/bin:$$PATH" $(PY) -m pytest --cov --cov-report=term

chaos: setup ## RESTORES=1000 restores against an Azure that fails at random; SEED=1 repeats a run
	@PATH="$(CURDIR)/.venv/bin:$$PATH" $(PY) -m tests.chaos $(if $(SEED),--seed $(SEED)) $(if $(RESTORES),--restores $(RESTORES))

check: setup ## formatting, lint, strict types, import rules, dead code
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .
	@PATH="$(CURDIR)/.venv/bin:$$PATH" .tools/node_modules/.bin/pyright
	@.venv/bin/lint-imports
	@.venv/bin/vulture

bench: setup ## the benchmarks, as a table
	@PATH="$(CURDIR)/.venv/bin:$$PATH" $(PY) -m benchmarks
