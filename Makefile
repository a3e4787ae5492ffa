# `make run` tries Riposte out; `make test` is what must pass before a change lands.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := build

TARGET := $(or $(CARGO_TARGET_DIR),target)
CACHE := $(or $(RIPOSTE_CACHE),$(HOME)/.cache/riposte)
RIPOSTE := $(TARGET)/release/riposte
AGENT := $(TARGET)/release/riposte-agent
LAB := $(TARGET)/release/riposte-lab

PORTAL := portal/index.html portal/vite.config.ts \
    $(shell find portal/src portal/public portal/scripts -type f)

KILLS ?= 20
SEED ?= 1
BENCH ?=
STORE ?= /tmp/riposte-lab-seed/sqlite-1000000/data

.PHONY: run portal build test check unit oidc teams matrix e2e sdk bench first-view crash hostile fmt lint deny clean

## Install what is missing, build, and start the demo on http://127.0.0.1:8470. Its devices take root;
## without them it goes on.
run: build
	@[ "$$(id -u)" != 0 ] || scripts/need agents || true
	exec $(RIPOSTE) demo --data-dir riposte-data

## The portal's packages, as the lock file names them.
portal/node_modules/.installed: portal/package.json portal/package-lock.json
	scripts/need node
	cd portal && npm ci --no-audit --no-fund --loglevel=error
	touch $@

## The portal's files, which the server carries in itself; made anew only when something changed,
## because the server is compiled anew with them.
portal: portal/dist/index.html
portal/dist/index.html: portal/node_modules/.installed $(PORTAL)
	cd portal && npm run --silent build

## Portal and release binaries only.
build: portal
	scripts/need build
	cargo build --release --locked --workspace

## Everything that must pass before a change lands, on both stores.
test:
	scripts/need build node postgres python browser agents mail
	$(MAKE) --no-print-directory lint
	$(MAKE) --no-print-directory build
	$(MAKE) --no-print-directory unit
	$(MAKE) --no-print-directory crash
	$(MAKE) --no-print-directory sdk
	$(MAKE) --no-print-directory hostile
	$(MAKE) --no-print-directory e2e

## Unit and integration tests; those of the store run on SQLite and on PostgreSQL. The whole workspace is
## named both times: of one package alone other features would be built once more.
unit: build oidc
	scripts/need mail
	cd portal && npm test --silent
	export RIPOSTE_REQUIRE_OIDC=1 RIPOSTE_REQUIRE_DOVECOT=1 RIPOSTE_CACHE=$(CACHE); \
	if cargo nextest --version >/dev/null 2>&1; then \
	    run="nextest run --no-fail-fast"; only="--workspace -E package(riposte)&binary(it)"; \
	else \
	    run="test --no-fail-fast"; only="--package riposte --test it"; \
	fi; \
	env -u RIPOSTE_TEST_POSTGRES cargo $$run --workspace --locked; \
	$(LAB) postgres run -- cargo $$run $$only --locked

## The real OpenID provider that tests of sign-in visit.
oidc:
	scripts/need node
	mkdir -p $(CACHE)/oidc
	cmp -s tests/oidc/package-lock.json $(CACHE)/oidc/installed.json || { \
	    cp tests/oidc/package.json tests/oidc/package-lock.json $(CACHE)/oidc/; \
	    npm ci --prefix $(CACHE)/oidc --silent --no-audit --no-fund --ignore-scripts; \
	    cp tests/oidc/package-lock.json $(CACHE)/oidc/installed.json; }

## Microsoft's playground for bots of Teams, which the test of team chat talks to; where it cannot be had
## that test says so and passes by.
teams:
	scripts/need node
	mkdir -p $(CACHE)/teams
	cmp -s tests/teams/package-lock.json $(CACHE)/teams/installed.json || { \
	    cp tests/teams/package.json tests/teams/package-lock.json $(CACHE)/teams/; \
	    npm ci --prefix $(CACHE)/teams --silent --no-audit --no-fund --ignore-scripts && \
	    cp tests/teams/package-lock.json $(CACHE)/teams/installed.json || \
	    echo "teams: the playground of Microsoft cannot be had from the npm registry" >&2; }

## Synapse, a homeserver of Matrix, which the test of its rooms talks to; where it cannot be had that test
## says so and passes by.
matrix:
	mkdir -p $(CACHE)
	cmp -s tests/matrix/requirements.txt $(CACHE)/synapse/installed.txt || { \
	    rm -rf $(CACHE)/synapse && python3 -m venv $(CACHE)/synapse && \
	    $(CACHE)/synapse/bin/pip install --quiet --requirement tests/matrix/requirements.txt && \
	    cp tests/matrix/requirements.txt $(CACHE)/synapse/installed.txt || \
	    echo "matrix: Synapse cannot be had from PyPI" >&2; }

## Kill the release binary under load and check that nothing acknowledged was lost; then the same
## with real agents that carry actions out, killed as well, and that each was carried out once; and with
## receivers of notifications, that each heard of everything under one id, and a chat, that it has each post once.
crash: build
	$(LAB) crash --riposte $(RIPOSTE) --kills $(KILLS) --store both --seed $(SEED)
	$(LAB) respond --riposte $(RIPOSTE) --agent $(AGENT) --store both --seed $(SEED)
	$(LAB) notify --riposte $(RIPOSTE) --store both --seed $(SEED)

## Inputs that mean harm, against the release binary: what each is answered, and what it may cost.
hostile: build
	$(LAB) hostile --riposte $(RIPOSTE) --store both

## The portal in a real browser, against the release binary: the whole way on both stores, every page
## looked at, and hostile texts in every field. Each file has a PostgreSQL of its own: each begins with
## an empty store.
e2e: build oidc teams matrix
	scripts/need browser node postgres agents mail
	export RIPOSTE=$(abspath $(RIPOSTE)) RIPOSTE_OIDC_MODULES=$(abspath $(CACHE))/oidc \
	    RIPOSTE_TEAMS_MODULES=$(abspath $(CACHE))/teams RIPOSTE_SYNAPSE=$(abspath $(CACHE))/synapse; \
	failed=; for file in portal/e2e/*.test.mjs; do \
	    $(LAB) postgres run -- node --test --test-reporter=spec $$file || failed="$$failed $$file"; \
	done; \
	test -z "$$failed" || { echo "failed:$$failed" >&2; exit 1; }

## The performance table: one JSON object a line.
bench: build
	$(LAB) bench --riposte $(RIPOSTE) --agent $(AGENT) $(BENCH)

## How soon an expert sees the queue of the large store that `bench` left, in a real browser.
first-view: build
	scripts/need browser node
	RIPOSTE=$(abspath $(RIPOSTE)) node portal/bench/first-view.mjs $(STORE)

## An unmodified Microsoft Graph SDK against the release binary.
sdk: build
	scripts/need python
	mkdir -p $(CACHE)
	test -x $(CACHE)/sdk/bin/python || python3 -m venv $(CACHE)/sdk
	cmp -s tests/sdk/requirements.txt $(CACHE)/sdk/installed.txt || { \
	    $(CACHE)/sdk/bin/pip install --quiet --disable-pip-version-check -r tests/sdk/requirements.txt; \
	    cp tests/sdk/requirements.txt $(CACHE)/sdk/installed.txt; }
	$(CACHE)/sdk/bin/python tests/sdk/graph_sdk_test.py $(RIPOSTE)

fmt:
	cargo fmt --all

lint: portal/node_modules/.installed
	cd portal && npm run --silent lint
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

## Licences, sources and banned crates; needs cargo-deny.
deny:
	cargo deny check bans licenses sources

clean:
	cargo clean
