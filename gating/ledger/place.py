"""Place: which ledger a data directory has. Every caller that opens a ledger asks here, so that all open the same."""

from gating.datadir import DataDirectory
from gating.ledger.sqlite import sqlite_url


def ledger_url(directory: DataDirectory, database_url: str | None) -> str:
    """The URL for `Ledger.open`: DATABASE_URL where it is set (and not empty), else the directory's own file."""
    return database_url or sqlite_url(directory.ledger)
