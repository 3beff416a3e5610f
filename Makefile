PY := .venv/bin/python
.DEFAULT_GOAL := help
ALL := -n 4 --dist loadscope --no-loadscope-reorder
UNIT := tests/unit/domain tests/unit/activities tests/unit/test_settings.py tests/unit/test_host_json.py
.PHONY: help setup demo test coverage conformance conformance-az unit mutants chaos host rules plans preflight package check bench engine test-engine infra

help: ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/:/'

setup: ## .venv and .tools, once
	@scripts/setup

demo: setup ## restores started end to end, on this machine; ENGINE=real: on Microsoft's engine; ARGS=--help: more
	@PATH="$(CURDIR)/.venv/bin:$$PATH" $(PY) -m scripts.demo $(if $(ENGINE),--engine $(ENGINE)) $(ARGS)

host: setup ## simulator, Azurite and the app until Ctrl-C; ENGINE=real: on Microsoft's engine; ARGS=--help: more
	@PATH="$(CURDIR)/.venv/bin:$$PATH" $(PY) -m scripts.host $(if $(ENGINE),--engine $(ENGINE)) $(ARGS)

rules: setup ## what FILE=rules.json says about ALERT=alert.json, without doing it; FILE alone is checked; PLANS=plans.json: the plans that it names
	@$(PY) -m scripts.rules $(if $(PLANS),--plans "$(PLANS)") $(if $(FILE),"$(FILE)") $(if $(ALERT),"$(ALERT)")

plans: setup ## checks the recovery plans in FILE=plans.json and shows the order of their groups
	@$(PY) -m scripts.plans $(if $(FILE),"$(FILE)")

preflight: setup ## what the identity of the app may not do at the scopes of RESTORE_SCOPES: KEY=... make preflight APP=https://...; without APP: the identity signed in here
	@$(PY) -m scripts.preflight # make exports APP and KEY: a key does not belong on a command line

package: setup ## builds and checks the zip that is deployed, in dist/; SOURCE=1: without packages, for a remote build by Azure
	@$(PY) -m scripts.package $(if $(SOURCE),--source)

engine: ## Microsoft's Durable engine, from REAL_ENGINE=PATH or built with the .NET 10 SDK
	@REAL_ENGINE="$(REAL_ENGINE)" scripts/engine

# The tests start many Python processes: with PYTHONDONTWRITEBYTECODE set, each would compile the project anew.
test coverage unit: export PYTHONDONTWRITEBYTECODE :=
test: setup ## all tests except those on Microsoft's engine (make test-engine); T=PATH::NAME: these alone
	@PATH="$(CURDIR)/.venv/bin:$$PATH" $(PY) -m pytest $(if $(T),'$(T)',$(ALL))

coverage: setup ## the same tests, and which lines and branches they do not reach: half as long again
	@PATH="$(CURDIR)/.venv/bin:$$PATH" $(PY) -m pytest $(ALL) --cov --cov-report=term

conformance: setup ## the simulator against the official SDKs, and the table of their calls
	@$(PY) -m pytest -q --sdk-calls tests/conformance

conformance-az: setup ## the simulator against az CLI, which it installs in .tools, and the table of its commands; T=PATH::NAME: these alone
	@scripts/conformance-az $(if $(T),'$(T)')

unit: setup ## the fast tests of what is deployed, without engine, network and coverage
	@$(PY) -m pytest -q -p no:schemathesis -n 2 --dist loadscope $(UNIT)

mutants: setup ## changes in the code that no test notices; M="domain/restore": in these files or packages
	@$(PY) -m scripts.mutants $(M)

test-engine: setup ## the app on Microsoft's Durable engine, which `make engine` installs
	@[ -x .tools/real-engine ] || { echo "test-engine: Microsoft's engine is missing (.tools/real-engine); run \`make engine\`" >&2; exit 1; }
	@PATH="$(CURDIR)/.venv/bin:$$PATH" $(PY) -m pytest tests/engine

chaos: setup ## RESTORES=1000 restores, then RECOVERIES=20, against an Azure that fails at random; SEED=1 repeats a run; ENGINE=real: on Microsoft's engine, worker and engine killed at random
	@PATH="$(CURDIR)/.venv/bin:$$PATH" $(PY) -m tests.chaos$(if $(filter real,$(ENGINE)),.real) $(if $(SEED),--seed $(SEED)) $(if $(RESTORES),--restores $(RESTORES))$(if $(filter real,$(ENGINE)),, --recoveries $(or $(RECOVERIES),20))

check: setup ## formatting, lint, strict types, import rules, dead code
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .
	@PATH="$(CURDIR)/.venv/bin:$$PATH" .tools/node_modules/.bin/biome check --error-on-warnings triggers/ui
	@PATH="$(CURDIR)/.venv/bin:$$PATH" .tools/node_modules/.bin/pyright
	@.venv/bin/lint-imports
	@.venv/bin/vulture

bench: setup ## the benchmarks, as a table
	@PATH="$(CURDIR)/.venv/bin:$$PATH" $(PY) -m benchmarks

infra: setup ## builds, lints and evaluates the infrastructure without Azure; BICEP=PATH: with this Bicep CLI
	@BICEP="$(BICEP)" scripts/infra
