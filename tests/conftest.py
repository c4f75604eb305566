"""For every test: how hard hypothesis tries. Rooms have a conftest of their own below."""

import atexit
import gc
import os

import pytest
from hypothesis import HealthCheck, settings

from tests.servers.fixtures import (  # noqa: F401  fixtures are found by their names
    clickhouse_engine,
    clickhouse_url,
    hand_over_missing,
    kafka_cluster,
    kafka_three,
    postgres_server,
    postgres_url,
    redis_server,
    redis_url,
    report_missing,
    take_over_missing,
)

# No deadline for one example: machines that run tests stall, and speed is measured elsewhere.
settings.register_profile("dev", max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("dev"), max_examples=200, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

# Roles are started hundreds of times. Where no bytecode is written, each start compiles the whole project anew: a fifth
# of its time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Hypothesis times the garbage collector by an entry in `gc.callbacks`, which CPython lets go of after its very last
# collection: what hangs on it (hypothesis, the test modules it knows, DuckDB) then outlives the interpreter, and
# DuckDB's binding reports that as leaked.
atexit.register(gc.callbacks.clear)


LONG = ("tests/lives/", "tests/speed/", "tests/loadtest/", "tests/faults/", "tests/browser/")


def pytest_collection_modifyitems(items):
    """The longest files first: a file is one process's, and one that begins last keeps all others waiting."""
    items.sort(key=lambda item: next((at for at, start in enumerate(LONG) if item.nodeid.startswith(start)), len(LONG)))


def pytest_sessionfinish(session):
    hand_over_missing(session.config)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    take_over_missing(node)


def pytest_terminal_summary(terminalreporter):
    report_missing(terminalreporter)
