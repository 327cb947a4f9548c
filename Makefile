# The commands a newcomer runs. Each brings .local/venv up to date first; see infra/local.
.DEFAULT_GOAL := help
.PHONY: help up down logs key test bench build openapi costs venv

AXLE := PYTHONPATH=infra/local .local/venv/bin/python -m axle

help:
	@echo "make up      build, deploy and try out the local stack (AXLE_PORT=4566); again: update it in place"
	@echo "make down    stop it"
	@echo "make logs    follow the functions' logs (FUNCTION=leads: of one)"
	@echo "make key     create an API key: NAME=... SCOPES=a,b PLAN=... LIMITS='{...}' ENTITY=<id>|new"
	@echo "make test    everything that has to pass, end-to-end tests on a stack of their own included"
	@echo "make build   release binaries for AWS (ARCH=arm64|x86_64); then: sam build && sam deploy"
	@echo "make openapi write functions/docs/openapi.json anew from the routes"
	@echo "make costs   the price of a million calls of each operation (WRITE=1: into README.md)"
	@echo "make bench   measure cold starts, requests and imports (BENCH='cold --quick': only that)"

venv:
	@sh infra/local/venv.sh

up: venv
	@$(AXLE) up

down: venv
	@$(AXLE) down

logs: venv
	@$(AXLE) logs

key: venv
	@$(AXLE) key

test: venv
	@$(AXLE) test

build: venv
	@$(AXLE) build

openapi:
	@AXLE_UPDATE=1 cargo test -q -p axle-http-tests openapi

costs: venv
	@$(AXLE) costs

# BENCH='requests --json infra/bench.json' refreshes what `make costs` reads.
bench: venv
	@$(AXLE) build --bench
	@cargo run --release -p axle-bench -- --dir target/bench --json target/bench/results.json $(BENCH)
