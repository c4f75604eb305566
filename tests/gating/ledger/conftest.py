"""A ledger and a desk on it, for each engine; `path` is the file where it is SQLite's."""

import pytest

from gating.ledger import Ledger
from tests.gating.ledger.desk import Desk
from tests.gating.ledger.places import url  # noqa: F401  a fixture is found by its name


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def ledger(url):  # noqa: F811
    with Ledger.open(url) as ledger:
        yield ledger


@pytest.fixture
def desk(ledger):
    return Desk(ledger)
