"""What every ledger promises about keys of callers', about tokens that act, and about lists in pages."""

from functools import partial

import pytest

from gating.clock import Clock
from gating.ledger import idempotency, pages
from gating.ledger.idempotency import Answered
from gating.people import People
from gating.status import DAY_US, Role
from gating.token import token_digest
from tests.gating.ledger.desk import START_US

ANSWER = Answered(b"\x01" * 32, {"account": "shop", "version": 1})


@pytest.fixture
def people(ledger):
    return People(ledger, Clock())


def kept(ledger, scope="token-1", key="k", at_us=START_US, account="shop"):
    ledger.note(lambda connection: idempotency.keep(connection, scope, key, ANSWER, account=account, at_us=at_us))


def found(ledger, scope="token-1", key="k"):
    return ledger.look(lambda connection: idempotency.find(connection, scope, key))


def test_an_answer_is_found_under_its_key_and_scope_alone(ledger):
    kept(ledger)
    assert found(ledger) == ANSWER
    assert [found(ledger, "token-2"), found(ledger, key="K")] == [None, None]


def test_an_answer_stands_or_falls_with_its_change(desk, ledger):
    def change(transaction):
        desk.open_in(transaction, "shop")
        idempotency.keep(transaction.connection, "token-1", "k", ANSWER, account="shop", at_us=START_US)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ledger.change(change)
    assert found(ledger) is None
    assert ledger.head().version == 0


def test_old_answers_are_forgotten_a_bounded_number_at_a_time(ledger):
    for number in range(5):
        kept(ledger, key=f"old-{number}", at_us=START_US + number)
    kept(ledger, key="new", at_us=START_US + DAY_US)
    swept = []
    while n := ledger.note(lambda connection: idempotency.sweep(connection, START_US + DAY_US, 2)):
        swept.append(n)
    assert swept == [2, 2, 1]
    assert found(ledger, key="new") == ANSWER


def test_an_accounts_answers_go_with_its_receipt(desk, ledger):
    """I12: an answer names the account and its write key."""
    desk.open()
    desk.open("other")
    kept(ledger, key="mine")
    kept(ledger, key="other", account="other")
    desk.do("delete")
    desk.later(8 * DAY_US)
    desk.sweep()
    with ledger.begin() as transaction:
        assert transaction.give_receipt("shop", lambda *_: {"account": "shop"}, None, desk.now_us)
    assert (found(ledger, key="mine"), found(ledger, key="other")) == (None, ANSWER)


def test_a_token_acts_while_its_person_and_account_are_there(desk, people, ledger):
    desk.open()
    desk.open("other")
    person = people.add("shop", Role.OWNER, None, [])["person"]
    whose = [
        (Role.OWNER, "shop", person), (Role.ADMIN, "shop", None), (Role.OPERATOR, None, person),
        (Role.BILLING, None, None), (Role.BILLING, "other", None),
    ]  # fmt: skip
    made = [people.create_token(*given, [], None) for given in whose]

    def acting():
        return [ledger.tokens.acting(token_digest(one["token"])) is not None for one in made]

    assert acting() == [True] * 5
    assert ledger.tokens.acting(b"\x00" * 32) is None
    people.remove("shop", person)
    assert acting() == [False, True, True, True, True]
    desk.do("delete")
    desk.later(8 * DAY_US)
    desk.sweep()
    assert acting() == [False, False, True, True, True]


def test_when_tokens_were_used_is_noted_together_and_never_goes_back(people, ledger):
    first, second = (people.create_token(Role.AUDITOR, None, None, [], None)["id"] for _ in range(2))
    ledger.tokens.note_used({first: 20, second: 10, "token-0": 5})
    ledger.tokens.note_used({first: 15, second: 30})
    ledger.tokens.note_used({})
    assert [ledger.tokens.get(token).used_at_us for token in (first, second)] == [20, 30]
    assert ledger.tokens.get("token-0") is None


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_pages_go_through_every_row_once_in_order(desk, people, ledger, limit):
    ids = ["B", "a", "Z9", "b-1", "b.1", "b_1"]
    for name in ids:
        desk.open(name)
    desk.do("delete", "b_1")
    desk.do("delete", "B")
    desk.later(1)
    desk.do("delete", "a")
    for _ in range(3):
        desk.add_key("a")
        people.add("a", Role.MEMBER, None, [])
        people.create_token(Role.AUDITOR, None, None, [], None)

    def through(read, position, start):
        rows, after = [], start
        while page := ledger.look(partial(read, after=after)):
            assert len(page) <= limit
            rows += page
            after = position(page[-1])
        return rows

    accounts = through(lambda c, after: pages.accounts(c, after, limit), lambda row: row.id, "")
    assert [row.id for row in accounts] == sorted(ids)
    history = through(lambda c, after: pages.history(c, after, limit), lambda row: row.version, -1)
    assert [row.version for row in history] == list(range(1, ledger.head().version + 1))
    keys = through(
        lambda c, after: pages.keys(c, "a", after, limit), lambda row: (row.created_version, row.write_key), pages.START
    )
    assert [row.write_key for row in keys] == [row.write_key for row in ledger.keys("a")]
    members = through(
        lambda c, after: pages.people(c, "a", after, limit), lambda row: (row.created_at_us, row.id), pages.START
    )
    assert members == ledger.people("a")
    tokens = through(
        lambda c, after: pages.tokens(c, after, limit), lambda row: (row.created_at_us, row.id), pages.START
    )
    assert tokens == ledger.tokens.all()
    due = through(
        lambda c, after: pages.deadlines(c, after, limit),
        lambda row: (row.account.deadline.at_us, row.id), pages.START,
    )  # fmt: skip
    assert [row.id for row in due] == ["B", "b_1", "a"]
