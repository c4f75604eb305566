"""Whatever single row of history or refusals is altered, removed, exchanged or copied is found, and by nothing else.

By the ledger itself, and by the program that shares no code with it, on what the ledger exports.
"""

import contextlib
import itertools
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, insert, select, text

from gating.errors import InputInvalid, Refused
from gating.ledger.history import HISTORY
from gating.ledger.refusals import CHAIN as REFUSALS
from gating.refusals import Attempt
from tests.gating.ledger.desk import OPERATOR
from tests.gating.ledger.test_history_export import verifier

COMMANDS = ("pause", "resume", "cancel", "reactivate", "suspend", "unsuspend", "delete", "add_key", "rotate_key")
EXAMPLES = settings(
    max_examples=30, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.differing_executors],
)  # fmt: skip

numbers = st.integers(0, 10**6)
lives = st.lists(st.sampled_from(COMMANDS), min_size=2, max_size=8)


class Audit:
    """A ledger that lives, one of its chains, and what somebody with the database does to that."""

    def __init__(self, ledger, desk, url, chain):
        self.ledger, self.desk, self.chain, self.engine = (
            ledger,
            desk,
            chain,
            create_engine(url.replace("postgresql", "postgresql+psycopg", 1)),
        )
        self.number = chain.table.c[chain.number]
        self.names = map("account-{}".format, itertools.count())

    def live(self, commands):
        """One more account's life; what is refused is written down."""
        account = next(self.names)
        self.desk.open(account, owner="ana@example.org")
        for command in commands:
            self.desk.later(1_000_000)
            try:
                self.do(account, command)
            except Refused as error:
                attempt = Attempt(account, command, OPERATOR, self.ledger.account(account).version)
                self.ledger.refusals.add([attempt.refused(error, self.desk.now_us)])
        self.ledger.refusals.add([Attempt(account, "x", OPERATOR, 1).refused(Refused("no"), self.desk.now_us)] * 2)

    def do(self, account, command):
        with contextlib.suppress(ValueError, InputInvalid):  # what changes nothing, and which of several keys is meant
            if command.endswith("_key"):
                getattr(self.desk, command)(account)
            else:
                self.desk.do(command, account)

    def rows(self):
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(select(self.chain.table).order_by(self.number)).mappings()]

    def write(self, rows):
        with self.engine.begin() as connection:
            if connection.dialect.name == "postgresql":  # a superuser whom no foreign key holds up
                connection.execute(text("SET LOCAL session_replication_role = replica"))
            connection.execute(self.chain.table.delete())
            connection.execute(insert(self.chain.table), rows)

    def faults(self):
        return self.ledger.verify_history() if self.chain is HISTORY else self.ledger.refusals.verify()

    def exported(self):
        rows = self.ledger if self.chain is HISTORY else self.ledger.refusals
        head, digest = rows.chain()
        lines = [json.dumps(row, ensure_ascii=False) for row in rows.chained_rows(0, head)]
        return lines, digest.hex()

    def independent(self):
        return verifier.check(*self.exported())


@pytest.fixture(params=[HISTORY, REFUSALS], ids=["history", "refusals"])
def audit(request, ledger, desk, url):
    audit = Audit(ledger, desk, url, request.param)
    yield audit
    audit.engine.dispose()


def other(value):
    """Another value of a column's own kind."""
    if isinstance(value, bytes):
        return bytes([value[0] ^ 1]) + value[1:]
    if isinstance(value, int):
        return value + 1
    return "x" if value is None else value + " "


def altered(rows, pick, aside, number):
    at, names = pick % len(rows), [name for name in rows[0] if name != number]
    name = names[aside % len(names)]
    numeric = name in ("version", "until_us", "then_verdict")
    value = 1 if rows[at][name] is None and numeric else other(rows[at][name])
    return [*rows[:at], {**rows[at], name: value}, *rows[at + 1 :]], {rows[at][number]: "altered"}


def removed(rows, pick, aside, number):
    at = pick % len(rows)
    return [*rows[:at], *rows[at + 1 :]], {rows[at][number]: "removed"}


def exchanged(rows, pick, aside, number):
    one = pick % len(rows)
    two = (one + 1 + aside % (len(rows) - 1)) % len(rows)
    places = {one: rows[two][number], two: rows[one][number]}
    moved = [{**row, number: places.get(at, row[number])} for at, row in enumerate(rows)]
    return moved, {rows[one][number]: "moved", rows[two][number]: "moved"}


def copied_over_another(rows, pick, aside, number):
    one = pick % len(rows)
    two = (one + 1 + aside % (len(rows) - 1)) % len(rows)
    copy = {**rows[one], number: rows[two][number]}
    return [*rows[:two], copy, *rows[two + 1 :]], {rows[two][number]: "altered"}


def added(rows, pick, aside, number):
    at, place = pick % len(rows), rows[-1][number] + 1 + aside % 3
    return [*rows, {**rows[at], number: place}], {place: "added"}


def test_any_single_row_that_is_touched_is_found(audit):
    @EXAMPLES
    @given(lives, st.sampled_from([altered, removed, exchanged, copied_over_another, added]), numbers, numbers)
    def holds(life, damage, pick, aside):
        audit.live(life)
        whole = audit.rows()
        assert (audit.faults(), audit.independent()) == ([], None)
        damaged, expected = damage(whole, pick, aside, audit.chain.number)
        audit.write(damaged)
        try:
            faults, told = audit.faults(), audit.independent()
        finally:
            audit.write(whole)
        found = {fault.version: fault.what for fault in faults}
        assert expected.items() <= found.items()
        if damage is not added:  # what has a number beyond the newest is not exported
            assert told is not None
        owners = {row[audit.chain.number]: row["account"] for row in damaged}
        for fault in faults:
            assert fault.of == audit.chain.name
            if fault.what != "removed":
                assert fault.account == owners[fault.version]
            elif fault.account is not None:  # as other tables tell, where they do
                assert fault.account == next(r["account"] for r in whole if r["version"] == fault.version)

    holds()


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)  # what is exported is the same
def test_any_single_line_of_an_export_that_is_touched_is_found(audit):
    for _ in range(3):
        audit.live(COMMANDS)
    lines, head = audit.exported()

    @EXAMPLES
    @given(st.sampled_from(["alter", "remove", "exchange", "copy"]), numbers, numbers)
    def holds(damage, pick, aside):
        one = pick % len(lines)
        two = (one + 1 + aside % (len(lines) - 1)) % len(lines)
        touched = list(lines)
        if damage == "alter":
            row = json.loads(lines[one])
            name = list(row)[aside % len(row)]
            digests = ("previous", "digest", "state_digest")
            row[name] = "0" * 64 if name in digests and row[name] != "0" * 64 else other(row[name])
            touched[one] = json.dumps(row)
        elif damage == "remove":
            del touched[one]
        elif damage == "exchange":
            touched[one], touched[two] = touched[two], touched[one]
        else:
            touched.insert(two, lines[one])
        assert verifier.check(lines, head) is None
        assert verifier.check(touched, head) is not None

    holds()
