"""What `pixelgate doctor` says of the PostgreSQL that holds the ledger."""

from dataclasses import replace

import psycopg
import pytest

from deploy.doctor import FAIL, OK, WARN
from deploy.doctor_postgres import Facts, assess, postgres
from gating.ledger import Ledger
from gating.ledger.tables import metadata
from tests.processes import free_port
from tests.servers import PostgresServer

ALL = frozenset((table, right) for table in metadata.tables for right in ("SELECT", "INSERT", "UPDATE", "DELETE"))
WELL = Facts(
    version=150_018,
    skew_seconds=0.01,
    settings={"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "max_connections": "100",
              "superuser_reserved_connections": "3"},
    connections=12,
    role="pixelgate_gating",
    superuser=False,
    may_create=False,
    tables=frozenset(metadata.tables),
    may=ALL,
)  # fmt: skip


def set_to(**settings):
    return replace(WELL, settings={**WELL.settings, **settings})


def without(*rights):
    return replace(WELL, may=ALL - set(rights))


READER = replace(WELL, may=frozenset((table, "SELECT") for table in metadata.tables))
NEW = replace(WELL, tables=frozenset(), may=frozenset())


@pytest.mark.parametrize(
    ("facts", "result", "words"),
    [
        (WELL, OK, "may read, write"),
        (READER, OK, "may read"),
        (replace(WELL, may_create=True), OK, "change the schema"),
        (replace(WELL, version=120_020), FAIL, "older than 13"),
        (replace(WELL, skew_seconds=-1.2), WARN, "-1.200 s"),
        (replace(WELL, connections=90), WARN, "90 of 97 connections"),
        (set_to(fsync="off"), FAIL, "fsync is off"),
        (set_to(full_page_writes="off"), FAIL, "full_page_writes is off"),
        (set_to(synchronous_commit="off"), FAIL, "synchronous_commit is off"),
        (set_to(synchronous_commit="local"), OK, "may read, write"),
        (replace(WELL, superuser=True), WARN, "superuser"),
        (without(("history", "SELECT")), FAIL, "may not read history"),
        (without(("outbox", "DELETE")), FAIL, "not DELETE outbox"),
        (replace(NEW, may_create=True), OK, "no ledger yet"),
        (NEW, FAIL, "may make none"),
    ],
)
def test_each_finding_has_its_result_and_its_advice(facts, result, words):
    check = assess(facts)
    assert check.result == result
    assert words in check.found
    assert bool(check.advice) == (result != OK)


def test_the_worst_of_several_findings_counts_and_all_are_told():
    check = assess(replace(set_to(fsync="off"), skew_seconds=5.0))
    assert check.result == FAIL
    assert "fsync" in check.found
    assert "clock" in check.found


def test_a_tests_own_server_is_found_undurable(postgres_server):
    """It runs with fsync off, and the tests come as superuser."""
    url = postgres_server.database()
    check = postgres(url)
    assert (check.name, check.result) == ("postgresql", FAIL)
    assert "fsync is off" in check.found
    assert "superuser" in check.found
    assert "set fsync = on" in check.advice


def test_a_sound_server_and_a_role_of_its_own_are_well(postgres_server, tmp_path):
    server = PostgresServer(tmp_path / "postgres", fsync="on")
    server.start()
    try:
        url = server.database()
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute("CREATE ROLE owner LOGIN")
            admin.execute("CREATE SCHEMA owner AUTHORIZATION owner")  # of the role's name, so its search_path finds it
        own = url.replace("postgres@", "owner@")
        assert postgres(own).result == OK
        assert "no ledger yet" in postgres(own).found
        Ledger.open(own).close()
        check = postgres(own)
        assert (check.result, check.advice) == (OK, "")
        assert "may read, write, change the schema" in check.found
    finally:
        server.stop()


def test_what_cannot_be_reached_or_read_is_told_without_its_password(postgres_server):
    for url in (
        f"postgresql://me:secret@127.0.0.1:{free_port()}/x",
        "postgresql://me:secret@h:port/x",
        postgres_server.url_of("missing"),
    ):
        check = postgres(url)
        assert check.result == FAIL
        assert check.advice
        assert "secret" not in check.found + check.advice
