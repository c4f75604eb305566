"""Engines: which form of the store a URL asks for. The one place that knows them all; called by `ledger.py`."""

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from gating.errors import InputInvalid
from gating.ledger.sqlite import SQLiteStore, create_private, path_of
from gating.ledger.store import Store

EXPECTED = "expected sqlite:////absolute/path or postgresql://user:password@host/database"


def open_store(url: str, *, read_only: bool) -> Store:
    """The store that a URL names; for writing, SQLite's file is made. Connects to no server yet.

    Raises InputInvalid for a URL of no engine that is known, Unreachable where the file cannot be made.
    """
    if is_postgres(url):
        from gating.ledger.postgres import PostgresStore  # psycopg: a tenth of a second that SQLite need not pay

        return PostgresStore(url, read_only=read_only)
    path = path_of(url)
    if not read_only:
        create_private(path)
    return SQLiteStore(path, read_only=read_only)


def file_is_missing(url: str) -> bool:
    """Tell whether the URL names a file that is not there. Raises InputInvalid."""
    return not is_postgres(url) and not path_of(url).exists()


def is_postgres(url: str) -> bool:
    """Tell a URL of PostgreSQL from one of SQLite. Raises InputInvalid for one of neither; it may hold a password, so
    none of it is repeated."""
    scheme = url.partition("://")[0]
    if scheme in ("postgresql", "postgres", "postgresql+psycopg"):
        return True
    try:
        known = make_url(url).get_backend_name() == "sqlite"
    except ArgumentError as error:
        raise InputInvalid(f"the ledger's URL does not read: {EXPECTED}") from error
    if not known:
        raise InputInvalid(f"the ledger's URL has a scheme of no engine that is known: {EXPECTED}")
    return False
