"""What PostgreSQL's errors mean to a caller, by their SQLSTATE. Pure; used by `postgres.py` alone.

Only the first line of a message is passed on: what follows may hold a row's values.
"""

from typing import Final

import psycopg

from gating.errors import PixelgateError, Unreachable
from gating.ledger.store import Conflict, Unstorable

_UNCHANGED: Final = "nothing was changed"
_STUCK: Final = "look for a stopped or stuck pixelgate process and try again"

_CONFLICTS: Final = {"40001": "serialization failure", "40P01": "deadlock"}

# SQLSTATE -> what happened and what to do. All of these end the transaction before it has committed.
_MEANINGS: Final = {
    "55P03": f"stayed locked: {_UNCHANGED}; {_STUCK}",
    "57014": f"did not answer a statement in time: {_UNCHANGED}; try again",
    "25P03": f"ended a transaction that stood still: {_UNCHANGED}; this process was stopped or stuck, try again",
    "25006": f"takes no writes (a standby, or a role or session set to read): {_UNCHANGED}; give the primary's address",
    "42501": "forbids this to the role of DATABASE_URL: see docs/postgresql.md for what each role needs",
    "42P01": "has no tables (any more): start the gating service, which makes them",
    "3F000": "has no schema to use: see search_path in docs/postgresql.md",
}

_UNAVAILABLE: Final = ("08", "28", "3D", "53", "57P", "58", "XX")
"""Classes of SQLSTATE: connection, login, no such database, resources, shutdown, system, internal."""


def told(error: BaseException | None, place: str) -> PixelgateError | None:
    """The error a caller gets; None for one that is a bug (a broken constraint, a faulty statement)."""
    if not isinstance(error, psycopg.Error):
        return None
    state = error.sqlstate
    if state is None:
        return _without_state(error, place)
    if state in _CONFLICTS:
        return Conflict(f"the ledger {place} undid a change for another's sake ({_CONFLICTS[state]}): {_UNCHANGED}")
    if state == "22021":
        return Unstorable()
    if state in _MEANINGS:
        return Unreachable(f"the ledger {place} {_MEANINGS[state]} ({_line(error)})")
    if state.startswith(_UNAVAILABLE):
        return _unknown(error, place)
    return None


def _without_state(error: psycopg.Error, place: str) -> PixelgateError | None:
    """Errors of this side: no server said anything."""
    if isinstance(error, psycopg.DataError):
        return Unstorable()
    if isinstance(error, psycopg.OperationalError):
        return _unknown(error, place)
    return None


def _unknown(error: psycopg.Error, place: str) -> Unreachable:
    # Not "nothing was changed": the answer to a commit may be what was lost.
    return Unreachable(f"the ledger {place} cannot be reached: {_line(error)}")


def _line(error: psycopg.Error) -> str:
    return (error.diag.message_primary or str(error)).strip().partition("\n")[0][:300]
