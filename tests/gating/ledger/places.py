"""Where a ledger can lie: a fixture for every suite that holds whatever the engine."""

import pytest

from gating.ledger import sqlite_url


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, tmp_path):
    """An empty place for a ledger. PostgreSQL's sorts as people do, so that whoever relies on it is found out."""
    if request.param == "postgres":
        return request.getfixturevalue("postgres_server").database(icu=True)
    return sqlite_url(tmp_path / "ledger.sqlite")
