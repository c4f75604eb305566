"""Both forms of each role, one fixture a role: a contract suite runs against every one of them."""

import pytest

from gating.ledger import Ledger, sqlite_url
from tests.gating.ledger.desk import Desk


@pytest.fixture(params=["sqlite"])
def ledger(request, tmp_path):
    """I6: whatever a test did, history, projections and head agree afterwards."""
    url = {"sqlite": lambda: sqlite_url(tmp_path / "ledger.sqlite")}[request.param]()
    with Ledger.open(url) as ledger:
        yield ledger
        assert ledger.verify_history() == []
        assert ledger.verify_projections() == []


@pytest.fixture
def desk(ledger):
    return Desk(ledger)
