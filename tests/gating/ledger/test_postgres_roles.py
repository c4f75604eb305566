"""The roles of docs/postgresql.md, made by its own SQL on a real server: each can do its work and nothing else."""

import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from consumers.accounts import Accounts
from gating.account import Request
from gating.clock import boot_ns
from gating.datadir import DataDirectory
from gating.election import Candidate
from gating.errors import Refused, Unreachable
from gating.ledger import CHANGE, Ledger, Who, idempotency
from gating.ledger.idempotency import Answered
from gating.status import Role
from tests.gating.led import led
from tests.gating.ledger.desk import START_US, Desk

DOCS = Path(__file__).parents[3] / "docs" / "postgresql.md"
ROLES = ("pixelgate_owner", "pixelgate_gating", "pixelgate_reader")
READS = ("alembic_version", "meta", "accounts", "keys", "history", "gate", "rulebooks", "refusals", "refusals_head")


def sql_of(title):
    """The statements of the documentation's block that begins with this comment."""
    return re.search(rf"```sql\n-- {title}\n(.*?)```", DOCS.read_text(), re.DOTALL).group(1)


@pytest.fixture
def roles(postgres_server):
    """URL of each role; the ledger is made by its owner. The names are the server's, so they are taken away again."""
    with psycopg.connect(postgres_server.url, autocommit=True) as admin:
        for statement in sql_of("roles").split(";")[:-1]:  # CREATE DATABASE stands in no transaction
            admin.execute(statement)
    with psycopg.connect(postgres_server.url_of("pixelgate"), autocommit=True) as admin:
        admin.execute(sql_of("schema"))
    urls = {role: postgres_server.url_of("pixelgate", role) for role in ROLES}
    Ledger.open(urls["pixelgate_owner"]).close()
    with psycopg.connect(urls["pixelgate_owner"], autocommit=True) as owner:
        owner.execute(sql_of("grants"))
    yield urls
    with psycopg.connect(postgres_server.url, autocommit=True) as admin:
        admin.execute("DROP DATABASE pixelgate WITH (FORCE)")
        for role in ROLES:
            admin.execute(f"DROP ROLE {role}")


async def test_the_gating_service_does_all_its_work(roles, tmp_path):
    directory = DataDirectory.open(tmp_path / "data")
    who = Who("tests", Role.OPERATOR)
    with directory.hold("gating"), led(directory, roles["pixelgate_gating"]) as leading:
        service = leading.service
        await service.create_account("shop", rulebook="default", owner="ana@example.org", who=who)
        await service.do("shop", Request("pause", Role.OPERATOR, actor="tests"))
        await service.create_key("shop", source="www", who=who)
        key = (await service.keys("shop"))[0]["write_key"]
        await service.rotate_key("shop", key=key, who=who)
        with pytest.raises(Refused):
            await service.do("shop", Request("pause", Role.MEMBER, actor="tests"))
        assert len(service.refusals.of("shop")) == 1
        assert await service.sweep() == 0
        ledger = leading.ledger
        ledger.take_term("other", boot_ns(), 0, "this boot")
        candidate = Candidate(ledger, "candidate", alone=True)
        candidate.step()
        candidate.step()
        assert candidate.holds()
        ledger.delivered(CHANGE, ledger.outbox(kind=CHANGE)[-1].id)
        assert ledger.record_enforced(ledger.lead().term, 4)
        ledger.relayed.note("redis", 4)
        ledger.relayed.note("redis", 5)
        token = service.people.create_token(Role.OPERATOR, None, None, [], None)["id"]
        ledger.tokens.note_used({token: 1})
        answered = Answered(b"request", {})
        ledger.note(lambda c: idempotency.keep(c, token, "key", answered, account="shop", at_us=1))
        assert ledger.note(lambda connection: idempotency.sweep(connection, 2)) == 1
        with ledger.begin() as transaction:
            assert transaction.erase_details("shop") > 0
            transaction.new_epoch()
        assert ledger.outbox(kind=CHANGE) == []
        assert ledger.verify_history() == ledger.verify_projections() == []
        ledger.await_writers()


@pytest.mark.parametrize(
    "statement",
    ["UPDATE history SET actor = 'eve'", "DELETE FROM history", "UPDATE refusals SET times = 0", "DELETE FROM refusals",
     "DELETE FROM refusals_head", "DELETE FROM accounts", "DELETE FROM keys",
     "DELETE FROM gate", "DELETE FROM meta", "INSERT INTO meta SELECT * FROM meta", "DELETE FROM lead",
     "UPDATE details SET text = ''", "UPDATE outbox SET kind = ''", "UPDATE rulebooks SET text = ''",
     "UPDATE alembic_version SET version_num = ''", "TRUNCATE outbox", "DROP TABLE outbox", "CREATE TABLE t (i int)",
     "ALTER TABLE meta ADD COLUMN c int", "CREATE INDEX ON history (at_us)", "CREATE SCHEMA s",
     "CREATE TEMP TABLE t (i int)", "CREATE ROLE r"],
)  # fmt: skip
def test_the_gating_service_can_neither_rewrite_the_past_nor_change_the_schema(roles, statement):
    with psycopg.connect(roles["pixelgate_gating"]) as gating, pytest.raises(psycopg.errors.InsufficientPrivilege):
        gating.execute(statement)


def test_a_reader_settles_verifies_and_waits_for_writers(roles):
    with Ledger.open(roles["pixelgate_gating"]) as ledger:
        key = Desk(ledger).open().keys[0].write_key
    with Ledger.open_reading(roles["pixelgate_reader"]) as reader:
        accounts = Accounts(lambda: reader, lambda: START_US)
        accounts.await_writers()
        assert accounts.timeline(key).account == "shop"
        assert accounts.is_final("shop") is False
        assert reader.rulebook("unknown") is None
        assert reader.verify_history() == reader.verify_projections() == reader.refusals.verify() == []
        assert Ledger.exists(roles["pixelgate_reader"])


def test_a_reader_can_write_nothing_and_reads_no_persons_words(roles):
    with psycopg.connect(roles["pixelgate_owner"]) as owner:
        tables = {row[0] for row in owner.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'pixelgate'")}
    assert set(READS) < tables
    with psycopg.connect(roles["pixelgate_reader"], autocommit=True) as reader:
        for table in tables:
            for statement in (f"DELETE FROM {table}", f"INSERT INTO {table} DEFAULT VALUES", f"TRUNCATE {table}"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    reader.execute(statement)
            if table in READS:
                reader.execute(f"SELECT * FROM {table}")
            else:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    reader.execute(f"SELECT * FROM {table}")
    with Ledger.open_reading(roles["pixelgate_reader"]) as ledger, pytest.raises(Unreachable, match="forbids"):
        ledger.details("shop")


def test_a_stranger_may_not_even_connect(roles, postgres_server):
    with psycopg.connect(postgres_server.url, autocommit=True) as admin:
        admin.execute("CREATE ROLE stranger LOGIN")
        try:
            with pytest.raises(Unreachable):
                Ledger.open_reading(postgres_server.url_of("pixelgate", "stranger"))
        finally:
            admin.execute("DROP ROLE stranger")


def test_a_service_that_may_not_migrate_says_so_and_the_owner_does(roles):
    with psycopg.connect(roles["pixelgate_owner"], autocommit=True) as owner:
        owner.execute("DROP TABLE webhook_events, webhook_customers, webhook_subscriptions, idempotency")
        owner.execute("DROP TABLE heartbeat, activity, activity_reporters")
        owner.execute("DROP INDEX ix_outbox_effects")
        # What came after 0002.
        owner.execute("DROP TABLE purges, purge_places, receipts, billing_records, tokens, people")
        owner.execute("UPDATE alembic_version SET version_num = '0002'")
        owner.execute("DROP TABLE effect_tries, effect_dead, effect_tasks, sessions_ended")
        owner.execute("DROP TABLE refusals, refusals_head")
    with pytest.raises(Unreachable, match=r"docs/postgresql\.md"):
        Ledger.open(roles["pixelgate_gating"])
    with pytest.raises(Unreachable, match="older schema"):
        Ledger.open_reading(roles["pixelgate_reader"])
    assert ran(roles["pixelgate_owner"], "migrate").returncode == 0
    with Ledger.open(roles["pixelgate_gating"]) as ledger:
        assert ledger.head().version == 0


def test_the_owners_command_draws_a_new_epoch_and_words_its_errors(roles):
    with Ledger.open(roles["pixelgate_gating"]) as ledger:
        before = ledger.head().epoch
        done = ran(roles["pixelgate_owner"], "new-epoch")
        assert ledger.head().epoch != before
        assert ledger.head().epoch in done.stdout
    refused = ran("postgresql://nobody:secret@127.0.0.1:1/x", "migrate")
    assert (refused.returncode, refused.stderr.count("\n"), "secret" in refused.stderr) == (3, 1, False)
    assert ran("", "migrate").returncode == 2


def ran(url, action):
    return subprocess.run(
        [sys.executable, "-m", "gating.ledger", action], env={**os.environ, "DATABASE_URL": url}, cwd=DOCS.parents[1],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
