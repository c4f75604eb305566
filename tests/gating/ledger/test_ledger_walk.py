"""Random lives on one ledger: whatever happens in whatever order, everything it says stays in agreement."""

import contextlib
import functools
import shutil
import tempfile
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gating.errors import Refused
from gating.feed import StatusChange
from gating.ledger import CHANGE, Ledger, sqlite_url, standing_at
from gating.lifecycle import active, due, standing
from gating.status import DAY_US, Verdict
from tests.gating.ledger.desk import POLICY, Desk

ACCOUNTS = ("a", "b")
COMMANDS = ("pause", "resume", "suspend", "unsuspend", "cancel", "reactivate", "delete", "revoke_deletion")


@functools.cache
def empty_ledger():
    """The bytes of a fresh ledger: the migrations take longer than a whole walk."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "ledger.sqlite")
        Ledger.open(sqlite_url(path)).close()
        return path.read_bytes()


class Walk(RuleBasedStateMachine):
    """The model is what was seen to hold as time went by: (instant, key, verdict)."""

    @contextlib.contextmanager
    def place(self):
        """An empty ledger."""
        directory = Path(tempfile.mkdtemp(prefix="pixelgate-walk-"))
        (directory / "ledger.sqlite").write_bytes(empty_ledger())
        yield sqlite_url(directory / "ledger.sqlite")
        shutil.rmtree(directory)

    @initialize()
    def begin(self):
        self.lying = contextlib.ExitStack()
        self.ledger = self.lying.enter_context(Ledger.open(self.lying.enter_context(self.place())))
        self.desk = Desk(self.ledger)
        for account in ACCOUNTS:
            self.desk.open(account)
        self.seen = []

    def teardown(self):
        if not hasattr(self, "ledger"):
            return
        try:
            for instant_us, write_key, verdict in self.seen:
                held = standing_at(self.ledger.timeline(write_key), instant_us, 0)
                assert held.verdict is verdict, (instant_us, write_key, held)
        finally:
            self.lying.close()

    def attempt(self, step):
        # Refused by the rulebook or as a tombstone, ValueError for a repetition: the invariants see the rest.
        with contextlib.suppress(Refused, ValueError):
            step()

    @rule(days=st.sampled_from([0, 1, 8, 31]))
    def time_goes_by(self, days):
        self.desk.later(days * DAY_US + 1)
        self.look()

    @rule(account=st.sampled_from(ACCOUNTS), command=st.sampled_from(COMMANDS))
    def a_command(self, account, command):
        self.desk.later(1)
        self.attempt(lambda: self.desk.do(command, account))
        self.look()

    @rule()
    def a_sweep(self):
        self.desk.later(1)
        self.desk.sweep()
        self.look()

    @rule(account=st.sampled_from(ACCOUNTS), what=st.sampled_from(["add", "rotate", "revoke", "grace"]))
    def a_change_of_keys(self, account, what):
        self.desk.later(1)
        key = self.ledger.keys(account)[-1].write_key
        self.attempt({
            "add": lambda: self.desk.add_key(account),
            "rotate": lambda: self.desk.rotate_key(account, which=key),
            "revoke": lambda: self.desk.revoke_key(key, account),
            "grace": lambda: self.desk.revoke_key(key, account, grace_us=3 * DAY_US),
        }[what])  # fmt: skip
        self.look()

    @rule(account=st.sampled_from(ACCOUNTS))
    def activity(self, account):
        def note():
            with self.ledger.begin() as transaction:
                transaction.note_activity(active(POLICY, transaction.account(account).account, self.desk.now_us))

        self.attempt(note)

    @rule(account=st.sampled_from(ACCOUNTS))
    def an_erasure(self, account):
        with self.ledger.begin() as transaction:
            transaction.erase_details(account)

    def look(self):
        """Note what holds now for each key, by the lifecycle's own word."""
        now_us = self.desk.now_us
        for account in ACCOUNTS:
            row = self.ledger.account(account)
            passed = due(POLICY, row.account, now_us)
            verdict = standing(POLICY, passed[-1].account if passed else row.account).verdict
            for key in self.ledger.keys(account):
                living = key.revoked_at_us is None or now_us < key.revoked_at_us
                self.seen.append((now_us, key.write_key, verdict if living else Verdict.DROP))

    @invariant()
    def history_projections_and_outbox_agree(self):
        """I6"""
        assert self.ledger.verify_history() == []
        assert self.ledger.verify_projections() == []
        changes = [StatusChange.decode(row.payload) for row in self.ledger.outbox(kind=CHANGE)]
        assert [change.version for change in changes] == list(range(1, self.ledger.head().version + 1))
        newest = {change.account: change for change in changes}
        assert self.ledger.changes_since(0) == sorted(newest.values(), key=lambda change: change.version)


class WalkOnPostgres(Walk):
    """The same; one database, emptied for each walk."""

    url = ""

    @contextlib.contextmanager
    def place(self):
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(
                "TRUNCATE accounts, keys, history, details, gate, outbox, relayed, rulebooks, purges, receipts, "
                "billing_records, tokens, people, effect_dead, effect_tasks, sessions_ended, webhook_events, "
                "webhook_customers, webhook_subscriptions, heartbeat, activity, activity_reporters, refusals"
            )
            connection.execute("UPDATE meta SET head = 0, chain = %s", [bytes(32)])
            connection.execute("UPDATE refusals_head SET sequence = 0, chain = %s", [bytes(32)])
        yield self.url


@pytest.fixture(scope="module")
def _walked_database(postgres_server):
    WalkOnPostgres.url = postgres_server.database(icu=True)
    Ledger.open(WalkOnPostgres.url).close()


TestWalk = Walk.TestCase
TestWalk.settings = settings(max_examples=15, stateful_step_count=15)
TestWalkOnPostgres = pytest.mark.usefixtures("_walked_database")(WalkOnPostgres.TestCase)
TestWalkOnPostgres.settings = settings(max_examples=10, stateful_step_count=15)
