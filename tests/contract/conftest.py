"""Both forms of each role, one fixture a role: a contract suite runs against every one of them."""

import pytest

from gating.ledger import Ledger
from tests.gating.ledger.desk import Desk
from tests.gating.ledger.places import url  # noqa: F401  a fixture is found by its name


@pytest.fixture
def ledger(url):  # noqa: F811
    """I6: whatever a test did, history, projections and head agree afterwards."""
    with Ledger.open(url) as ledger:
        yield ledger
        assert ledger.verify_history() == []
        assert ledger.verify_projections() == []


@pytest.fixture
def desk(ledger):
    return Desk(ledger)
