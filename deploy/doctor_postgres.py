"""Doctor's look at PostgreSQL: is the server that holds the ledger one that keeps its promises, and may we use it.

Called by `pixelgate doctor` where DATABASE_URL is set. Looks only: one short session, nothing is changed.
"""

import time
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from deploy.check import FAIL, OK, WARN, Check
from gating.errors import PixelgateError
from gating.ledger.conninfo import connection_parameters, place_of
from gating.ledger.postgres import CONNECTIONS_MAX
from gating.ledger.postgres_errors import told
from gating.ledger.tables import metadata

NAME: Final = "postgresql"
VERSION_MIN: Final = 13
"""The oldest release that the tests' SQL is written for; older ones get no fixes from their makers any more."""
SKEW_SECONDS_MAX: Final = 1.0
"""Settlement takes all clocks to agree this well (DESIGN 6)."""
CONNECTIONS_SPARE: Final = 2 * CONNECTIONS_MAX
"""A gating service and a consumer, each with all that it may open."""
SAMPLES: Final = 5
LOOK_SECONDS: Final = 5

# What the gating service does to each table; docs/postgresql.md grants just this.
WRITES: Final = {
    "meta": "UPDATE", "accounts": "INSERT, UPDATE", "keys": "INSERT, UPDATE", "history": "INSERT",
    "details": "INSERT, DELETE", "gate": "INSERT, UPDATE", "outbox": "INSERT, DELETE", "rulebooks": "INSERT",
    "lead": "UPDATE", "relayed": "INSERT, UPDATE",
}  # fmt: skip
READS: Final = ("meta", "accounts", "keys", "history", "gate", "rulebooks")

_SETTINGS: Final = ("fsync", "full_page_writes", "synchronous_commit", "max_connections",
                    "superuser_reserved_connections")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Facts:
    """What one session learns. skew_seconds: the server's clock minus ours. may: (table, privilege) pairs."""

    version: int
    skew_seconds: float
    settings: dict[str, str]
    connections: int
    role: str
    superuser: bool
    may_create: bool
    tables: frozenset[str]
    may: frozenset[tuple[str, str]]


def postgres(url: str) -> Check:
    """Whether the server can be reached, is supported, durable, in time, and what the URL's role may do there."""
    try:
        parameters = connection_parameters(url)
        return assess(_look(parameters))
    except PixelgateError as error:
        return Check(NAME, FAIL, str(error), "correct DATABASE_URL; docs/postgresql.md has an example")
    except psycopg.Error as error:
        found = str(told(error, place_of(connection_parameters(url))) or f"{type(error).__name__} at the server")
        return Check(NAME, FAIL, found, "is it running, and does `psql` with DATABASE_URL reach it?")


def assess(facts: Facts) -> Check:
    """The finding; pure. The worst fault gives the result, each its words and its advice."""
    faults = [*_server_faults(facts), *_durability_faults(facts), *_role_faults(facts)]
    found = ", ".join([f"version {facts.version // 10000}", f"clock {facts.skew_seconds:+.3f} s", _may(facts)])
    result = max((result for result, _, _ in faults), key=(OK, WARN, FAIL).index, default=OK)
    words = "; ".join([found, *(words for _, words, _ in faults)])
    return Check(NAME, result, words, "; ".join(advice for _, _, advice in faults))


Fault = tuple[str, str, str]
"""Result, what is wrong, what to do."""


def _server_faults(facts: Facts) -> list[Fault]:
    faults: list[Fault] = []
    if facts.version < VERSION_MIN * 10000:
        faults.append((FAIL, f"older than {VERSION_MIN}", f"use PostgreSQL {VERSION_MIN} or newer"))
    if abs(facts.skew_seconds) > SKEW_SECONDS_MAX:
        words = f"its clock and this host's differ by more than {SKEW_SECONDS_MAX:g} s"
        faults.append((WARN, words, "have both follow NTP: changes are dated, and hits settled, by hosts' clocks"))
    settings = facts.settings
    usable = int(settings["max_connections"]) - int(settings["superuser_reserved_connections"])
    if usable - facts.connections < CONNECTIONS_SPARE:
        words = f"{facts.connections} of {usable} connections are in use"
        faults.append((WARN, words, f"raise max_connections: each process here takes up to {CONNECTIONS_MAX}"))
    return faults


def _durability_faults(facts: Facts) -> list[Fault]:
    lost = {
        "fsync": "a power cut may destroy the ledger",
        "full_page_writes": "a power cut may destroy the ledger",
        "synchronous_commit": "a crash may lose flips that were answered, wherever a session does not set it itself",
    }
    return [
        (FAIL, f"{name} is off: {words}", f"set {name} = on")
        for name, words in lost.items()
        if facts.settings[name] == "off"
    ]


def _role_faults(facts: Facts) -> list[Fault]:
    role = f"role {facts.role!r}"
    if facts.superuser:
        return [(WARN, f"{role} is a superuser", "give it a role of its own: docs/postgresql.md")]
    if not facts.tables:
        if facts.may_create:
            return []
        return [(FAIL, f"no ledger yet, and {role} may make none", "open it once as its owner: docs/postgresql.md")]
    missing = [table for table in READS if (table, "SELECT") not in facts.may]
    if missing:
        return [(FAIL, f"{role} may not read {missing[0]}", "grant what docs/postgresql.md lists for its kind")]
    short = [(table, right) for table, rights in WRITES.items() for right in rights.split(", ")
             if (table, right) not in facts.may]  # fmt: skip
    if short and any((table, right) in facts.may for table, rights in WRITES.items() for right in rights.split(", ")):
        words = f"{role} may write, but not {short[0][1]} {short[0][0]}"
        return [(FAIL, words, "grant what docs/postgresql.md lists for the gating service")]
    return []


def _may(facts: Facts) -> str:
    """What the role may do, in a word or three."""
    if not facts.tables:
        return f"no ledger yet, {facts.role!r} may {'make it' if facts.may_create else 'not make it'}"
    writes = all((table, right) in facts.may for table, rights in WRITES.items() for right in rights.split(", "))
    what = ["read", *(["write"] if writes else []), *(["change the schema"] if facts.may_create else [])]
    return f"{facts.role!r} may {', '.join(what)}"


def _look(parameters: dict[str, Any]) -> Facts:
    with psycopg.connect(**parameters, autocommit=True) as connection:
        connection.execute(f"SET statement_timeout = '{LOOK_SECONDS}s'")
        settings = dict(
            connection.execute(
                "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [list(_SETTINGS)]
            ).fetchall()
        )
        one = connection.execute(
            "SELECT current_user, (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),"
            " coalesce(has_schema_privilege(current_schema(), 'CREATE'), false),"
            " (SELECT sum(numbackends) FROM pg_stat_database)"
        ).fetchone()
        rights = connection.execute(
            "SELECT c.relname, r.name, has_table_privilege(c.oid, r.name) FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN unnest(%s::text[]) r(name)"
            " WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p') AND c.relname = ANY(%s)",
            [["SELECT", "INSERT", "UPDATE", "DELETE"], list(metadata.tables)],
        ).fetchall()
        if one is None:
            raise psycopg.InternalError("a SELECT without FROM gave no row")
        return Facts(
            version=connection.info.server_version,
            skew_seconds=_skew_seconds(connection),
            settings=settings,
            connections=int(one[3] or 0),
            role=one[0],
            superuser=bool(one[1]),
            may_create=bool(one[2]),
            tables=frozenset(table for table, _, _ in rights),
            may=frozenset((table, right) for table, right, may in rights if may),
        )


def _skew_seconds(connection: psycopg.Connection[Any]) -> float:
    """The server's clock minus ours, by the quickest of a few answers: half its time is what it may be wrong by."""
    samples = []
    for _ in range(SAMPLES):
        asked = time.time()
        row = connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
        answered = time.time()
        samples.append((answered - asked, float(row[0]) - (asked + answered) / 2 if row else 0.0))
    return min(samples)[1]
