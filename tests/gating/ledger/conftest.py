"""A ledger file and a desk on it."""

import pytest

from gating.ledger import Ledger, sqlite_url
from tests.gating.ledger.desk import Desk


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def ledger(path):
    with Ledger.open(sqlite_url(path)) as ledger:
        yield ledger


@pytest.fixture
def desk(ledger):
    return Desk(ledger)
