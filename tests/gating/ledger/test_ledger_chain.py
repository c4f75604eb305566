"""Tampering shows: any history row altered, removed, inserted or moved, any projection that says something else."""

import pytest
from sqlalchemy import create_engine, event, select, text

from gating.ledger.tables import accounts, gate, history, keys
from gating.status import DAY_US


@pytest.fixture
def walked(desk):
    """Ten changes of two accounts."""
    desk.open("a", owner="ana@example.org")
    desk.open("b")
    for account, command in (("a", "pause"), ("b", "pause"), ("a", "resume"), ("a", "cancel"), ("b", "resume")):
        desk.later(1)
        desk.do(command, account, details={"reason": "other"})
    desk.rotate_key("a", grace_us=DAY_US)
    desk.add_key("b")
    desk.do("pause", "b")
    return desk.ledger


def engine_of(url):
    """As somebody with the file and SQLite's shell, or a superuser with psql: foreign keys hold nobody up."""
    if url.startswith("sqlite"):
        return create_engine(url)
    engine = create_engine(url.replace("postgresql", "postgresql+psycopg", 1))
    event.listen(engine, "connect", lambda connection, _: connection.execute("SET session_replication_role = replica"))
    return engine


def tamper(url, *statements):
    engine = engine_of(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(in_dialect(url, statement).replace(":", "\\:")))
    engine.dispose()


def in_dialect(url, statement):
    """What SQLite and PostgreSQL write differently."""
    if url.startswith("sqlite"):
        return statement
    decoded = "convert_from(change, 'UTF8')"
    words = {
        " x'": " '\\x",
        "zeroblob(32)": "decode(repeat('00', 32), 'hex')",
        "replace(change, 'DROP', 'ACCEPT')": f"convert_to(replace({decoded}, 'DROP', 'ACCEPT'), 'UTF8')",
    }
    for ours, theirs in words.items():
        statement = statement.replace(ours, theirs)
    return statement


OTHER = {
    "account": "'c'", "at_us": "at_us + 1", "command": "'resumed'", "actor": "'eve'", "role": "'owner'",
    "on_behalf": "'owner'", "from_status": "'TRIAL'", "to_status": "'TRIAL'", "status": "'TRIAL'",
    "verdict": "verdict + 1", "access": "'ALL'", "until_us": "coalesce(until_us, 0) + 1", "then_verdict": "2",
    "effects": "'[]  '", "keys": "'[[\"k\",1]]'", "state_digest": "zeroblob(32)", "previous": "zeroblob(32)",
    "digest": "zeroblob(32)",
}  # fmt: skip


def test_the_table_of_columns_is_complete():
    assert {column.name for column in history.columns} - {"version"} == set(OTHER)


@pytest.mark.parametrize("column", OTHER)
def test_an_altered_column_of_a_history_row_is_named_with_its_row(walked, url, column):
    tamper(url, f"UPDATE history SET {column} = {OTHER[column]} WHERE version = 6")
    assert [fault.version for fault in walked.verify_history()] == [6]


@pytest.mark.parametrize("column", OTHER)
def test_an_altered_column_of_the_newest_row_is_named(walked, url, column):
    tamper(url, f"UPDATE history SET {column} = {OTHER[column]} WHERE version = 10")
    assert [fault.version for fault in walked.verify_history()] == [10]


@pytest.mark.parametrize(
    ("removed", "words"),
    [
        ("version = 1", "row 1 was removed"),
        ("version = 5", "row 5 was removed"),
        ("version IN (4, 5)", "rows 4 to 5 were removed"),
        ("version = 10", "row 10 was removed"),
        ("version > 7", "rows 8 to 10 were removed"),
        ("true", "rows 1 to 10 were removed"),
    ],
)
def test_removed_rows_are_named_at_the_end_too(walked, url, removed, words):
    tamper(url, f"DELETE FROM history WHERE {removed}")
    assert [fault.message for fault in walked.verify_history()] == [f"history {words}"]


def test_a_removed_row_shows_even_when_the_counter_is_turned_back(walked, url):
    tamper(url, "DELETE FROM history WHERE version = 10", "UPDATE meta SET head = 9")
    assert [fault.version for fault in walked.verify_history()] == [9]


def test_rows_that_changed_places_are_named(walked, url):
    tamper(
        url,
        "UPDATE history SET version = 99 WHERE version = 4",
        "UPDATE history SET version = 4 WHERE version = 5",
        "UPDATE history SET version = 5 WHERE version = 99",
    )
    assert [fault.version for fault in walked.verify_history()] == [4, 5]


def test_an_altered_row_with_a_digest_that_fits_shows_by_its_successor(walked, url):
    from gating.ledger.history import digest_of

    with engine_of(url).connect() as connection:
        row = connection.execute(select(history).where(history.c.version == 6)).one()._asdict()
    digest = digest_of({**row, "actor": "eve"}, row["previous"])
    tamper(url, f"UPDATE history SET actor = 'eve', digest = x'{digest.hex()}' WHERE version = 6")
    assert [fault.version for fault in walked.verify_history()] == [7]


def test_a_row_added_beside_the_ledger_is_named(walked, url):
    columns = ", ".join(column.name for column in history.columns if column.name != "version")
    tamper(url, f"INSERT INTO history (version, {columns}) SELECT 11, {columns} FROM history WHERE version = 10")
    assert [fault.version for fault in walked.verify_history()] == [11]


PROJECTED = [
    *(f"UPDATE accounts SET {column.name} = {value} WHERE id = 'a'" for column, value in (
        (accounts.c.status, "'ACTIVE'"), (accounts.c.verdict, "1"), (accounts.c.version, "version - 1"),
        (accounts.c.revealed_version, "0"), (accounts.c.created_at_us, "0"), (accounts.c.deadline_at_us, "NULL"),
        (accounts.c.rulebook, "'other'"), (accounts.c.plan, "'pro'"), (accounts.c.access, "'FULL'"),
        (accounts.c.state, "replace(state, 'CANCELED', 'ACTIVE')"), (accounts.c.state, "'{}'"),
    )),
    *(f"UPDATE keys SET {column.name} = {value} WHERE account = 'a'" for column, value in (
        (keys.c.revoked_at_us, "NULL"), (keys.c.created_at_us, "0"), (keys.c.account, "'b'"),
    )),
    "DELETE FROM keys WHERE account = 'a' AND revoked_at_us IS NOT NULL",
    "DELETE FROM accounts WHERE id = 'a'",
    *(f"UPDATE gate SET {column.name} = {value} WHERE account = 'a'" for column, value in (
        (gate.c.version, "version + 100"), (gate.c.change, "replace(change, 'DROP', 'ACCEPT')"),
        (gate.c.change, "'nonsense'"), (gate.c.change, "(SELECT change FROM gate WHERE account = 'b')"),
    )),
    "DELETE FROM gate WHERE account = 'a'",
]  # fmt: skip


@pytest.mark.parametrize("statement", PROJECTED)
def test_a_projection_that_says_something_else_than_the_history_is_named(walked, url, statement):
    """I6"""
    assert walked.verify_projections() == []
    tamper(url, statement)
    assert walked.verify_projections() != []


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_erasing_details_leaves_the_chain_whole_and_no_byte_of_them_in_the_file(ledger, desk, path):
    """I12"""
    words = [f"unforgettable-{n}" for n in range(40)]
    desk.open(owner=words[0], name=words[1], source=words[2])
    desk.open("other")
    for n in range(3, len(words)):
        desk.do("pause" if n % 2 else "resume", details={"note": words[n] * 50})
    ledger.close()  # nobody may open the file by hand while this process has it open
    assert words[5].encode() in path.read_bytes()
    with ledger.begin() as transaction:
        assert transaction.erase_details("shop") == len(words)
    assert ledger.verify_history() == []
    assert ledger.verify_projections() == []
    ledger.close()
    assert b"unforgettable" not in path.read_bytes()
    assert sorted(entry.name for entry in path.parent.iterdir()) == [path.name]
