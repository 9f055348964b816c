# Each target is one line of work; the logic stands in tools/.
SYSTEM_PYTHON ?= python3
PYTHON = .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help setup demo test check docs publish bench abuse soak lab options schemas pins clean

help:  ## say what there is to make
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/make \1	\2/'

setup:  ## make .venv and install the pins into it, when they changed
	@$(SYSTEM_PYTHON) tools/setup.py

demo: setup  ## place a call on this machine and judge its recordings
	@$(PYTHON) -m tools.demo

test: setup  ## run the project's own tests
	@$(PYTHON) -m tools.gate tests traffic

check: setup  ## run the whole gate
	@$(PYTHON) -m tools.gate

docs: setup  ## build the site into out/site/
	@$(PYTHON) -m tools.site

publish: setup  ## build the site and commit it to the branch gh-pages: make publish VERSION=0.1
	@$(PYTHON) -m tools.publish "$(VERSION)" --push "$(PUSH)"

bench: setup  ## measure the relay on this machine
	@$(PYTHON) -m bench

abuse: setup  ## let misbehaving clients loose on a relay, and see what it costs the others
	@$(PYTHON) -m bench.abuse

soak: setup  ## load two linked relays for ten minutes, and explain what they counted
	@$(PYTHON) -m bench.soak

lab: setup  ## the network laboratory
	@$(PYTHON) -m tools.lab

schemas: setup  ## write the generated views of the schemas
	@$(PYTHON) -m schemas.build && $(PYTHON) -m tools.message_table

options: setup  ## write the table of a relay's options
	@$(PYTHON) -m tools.option_table

pins: setup  ## write requirements/ anew from pyproject.toml
	@$(PYTHON) -m tools.pins

clean: ## remove everything that can be made again
	@rm -rf .venv .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache dist out
