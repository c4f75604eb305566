# Pixelgate. `make help` lists the targets; `make run` and `make test` are the two a newcomer needs.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
SERVERS := redis-server postgresql java:default-jre-headless mvn:maven
TEST_STAMP := .venv/.test-extras

.DEFAULT_GOAL := help
.PHONY: help run test servers lint format e2e faults loadtest bench bench-latency bench-delivered bench-scaled bench-lifecycle \
  bench-growth lock clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[.a-z0-9_-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv: requirements.lock pyproject.toml  ## build the environment from the hash-pinned lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Pixelgate needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || \
	  { echo "on Debian: apt-get install python3-venv" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch .venv

$(TEST_STAMP): requirements.lock requirements-test.lock pyproject.toml | .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-test.lock
	@touch $(TEST_STAMP)

run: .venv  ## everything embedded on this machine, under ./data; Ctrl-C stops it
	@exec $(BIN)/pixelgate run

test: $(TEST_STAMP)  ## all tests, on real servers
	@deploy/packages.sh chromium strace faketime nginx wrk valgrind $(SERVERS)
	$(BIN)/python -m pytest tests -n 2 --dist loadfile --no-loadscope-reorder

servers: $(TEST_STAMP)  ## Redis, PostgreSQL and Kafka to play with, until Ctrl-C; prints the URLs to set
	@deploy/packages.sh $(SERVERS)
	@$(BIN)/python -m tests.servers

e2e: $(TEST_STAMP)  ## the whole story with a browser: fire, pause, resume, cancel
	@deploy/packages.sh chromium
	$(BIN)/python -m pytest tests/browser -v

faults: $(TEST_STAMP)  ## kill -9, SIGSTOP, full disks, failing fsync: the long form
	@deploy/packages.sh strace
	PIXELGATE_FAULTS=long $(BIN)/python -m pytest tests/faults tests/consumers/test_clickhouse_kills.py \
	  tests/consumers/test_purge_kills.py tests/integration/test_purge_scaled_out.py \
	  tests/gating/ledger/test_ledger_processes.py -v --timeout 3600

loadtest: $(TEST_STAMP)  ## locust on a system of its own: SHAPE=steady DURATION=60s RATE= USERS=; writes build/loadtest
	@$(BIN)/python -m loadtest $(SHAPE) $(if $(DURATION),--duration $(DURATION)) $(if $(RATE),--rate $(RATE)) \
	  $(if $(USERS),--users $(USERS)) $(LOADTEST)

bench: $(TEST_STAMP)  ## CPU a hit beside nginx + Lua, hyper, fasthttp and others; writes docs/benchmarks
	@deploy/packages.sh wrk nginx libnginx-mod-http-lua gcc libc6-dev openssl $(SERVERS)
	$(BIN)/python -m loadtest.bench
	@$(MAKE) --no-print-directory bench-latency bench-delivered bench-scaled

bench-latency: $(TEST_STAMP)  ## latency under loads that wait for nobody, service time in process
	@deploy/packages.sh wrk nginx libnginx-mod-http-lua gcc libc6-dev
	$(BIN)/python -m loadtest.bench.latency

bench-delivered: $(TEST_STAMP)  ## CPU a hit from the request to Kafka, beside fasthttp + franz-go and Starlette + aiokafka
	@deploy/packages.sh gcc libc6-dev redis-server java:default-jre-headless mvn:maven
	$(BIN)/python -m loadtest.bench.delivered

bench-scaled: $(TEST_STAMP)  ## what several hosts cost: events through Kafka, flips through Redis, Kafka away, 1M write keys
	@deploy/packages.sh wrk $(SERVERS)
	$(BIN)/python -m loadtest.bench.scaled
	$(BIN)/python -m loadtest.bench.keys

bench-lifecycle: $(TEST_STAMP)  ## what a decision costs, flips a second, deadlines swept
	@deploy/packages.sh $(SERVERS)
	$(BIN)/python -m loadtest.bench.lifecycle

bench-growth: $(TEST_STAMP)  ## how cost grows with keys, connections, heads, flips, backlog; half an hour, 25 GB of disk
	@deploy/packages.sh wrk nginx libnginx-mod-http-lua gcc libc6-dev $(SERVERS)
	$(BIN)/python -m loadtest.bench.growth

lint: $(TEST_STAMP)  ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(TEST_STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock:  ## resolve the dependencies anew (needs uv)
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --no-annotate --output-file requirements.lock
	uv pip compile pyproject.toml --extra test --extra chdb --extra loadtest --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --no-annotate --output-file requirements-test.lock

clean:  ## remove what was built; data stays
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
