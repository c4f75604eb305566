"""Both forms of each role, one fixture a role: a contract suite runs against every one of them."""

import pytest

from gating.ledger import Ledger, sqlite_url
from tests.gating.ledger.desk import Desk


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, tmp_path):
    """An empty place for a ledger."""
    if request.param == "postgres":
        return request.getfixturevalue("postgres_url")
    return sqlite_url(tmp_path / "ledger.sqlite")


@pytest.fixture
def ledger(url):
    """I6: whatever a test did, history, projections and head agree afterwards."""
    with Ledger.open(url) as ledger:
        yield ledger
        assert ledger.verify_history() == []
        assert ledger.verify_projections() == []


@pytest.fixture
def desk(ledger):
    return Desk(ledger)
