"""Pages: bounded, complete, and right while rows are added between two of them."""

import pytest

from tests.gating.rest.served import serving

ACCOUNTS = 23


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A ledger of its own, so that whole lists can be compared."""
    with serving(tmp_path_factory.mktemp("many") / "data") as served:
        client = served.client()
        for number in range(ACCOUNTS):
            client.ok("POST", "/accounts", {"id": f"a{number:03}", "rulebook": "default", "wait": False})
        for number in range(0, ACCOUNTS, 2):
            client.ok("POST", f"/accounts/a{number:03}/commands/delete", {"confirm": True, "wait": False})
        yield served


def names(items, name="account"):
    return [item[name] for item in items]


@pytest.mark.parametrize("limit", [1, 5, 23, 24, 200])
def test_all_accounts_come_once_on_pages_of_any_size(many, limit):
    items, pages = many.client().all("/accounts", limit=limit)
    assert names(items) == sorted(names(many.gateway.accounts())) == [f"a{number:03}" for number in range(ACCOUNTS)]
    assert pages == -(-ACCOUNTS // limit)


def test_a_filter_goes_through_all_pages(many):
    client = many.client()
    items, _ = client.all("/accounts", limit=5, status="DELETION_SCHEDULED")
    assert names(items) == [f"a{number:03}" for number in range(0, ACCOUNTS, 2)]
    assert client.all("/accounts", limit=5, rulebook="segment")[0] == []


def test_deadlines_come_by_their_time_then_by_account(many):
    client = many.client()
    items, pages = client.all("/deadlines", limit=5)
    assert names(items) == [f"a{number:03}" for number in range(0, ACCOUNTS, 2)]  # in the order they were entered
    assert pages == 3
    assert [item["at"] for item in items] == sorted(item["at"] for item in items)
    assert {(item["then"], item["overdue"]) for item in items} == {("DELETED", False)}
    assert client.all("/deadlines", overdue=True)[0] == []
    assert names(client.all("/deadlines", account="a004")[0]) == ["a004"]


def test_pages_are_right_while_rows_are_added(many):
    """None is told twice, none that was there is left out, and what is added behind the cursor comes."""
    client = many.client()
    account = many.gateway.create_account("paged", rulebook="default")["account"]
    for _ in range(4):
        client.ok("POST", f"/accounts/{account}/commands/pause", {"wait": False})
        client.ok("POST", f"/accounts/{account}/commands/resume", {"wait": False})
    first = client.ok("GET", f"/accounts/{account}/history", params={"limit": 5})
    client.ok("POST", f"/accounts/{account}/commands/pause", {"wait": False})
    client.ok("POST", "/accounts", {"id": "a000-added-before", "rulebook": "default"})
    rest, _ = [], 0
    cursor = first["next"]
    while cursor:
        page = client.ok("GET", f"/accounts/{account}/history", params={"limit": 2, "cursor": cursor})
        rest += page["items"]
        cursor = page["next"]
    told = names([*first["items"], *rest], "version")
    assert told == sorted(set(told))
    assert told == [row["version"] for row in many.gateway.history(account)]
    assert len(told) == 10


def test_the_history_of_all_is_every_accounts_history(many):
    client = many.client(role="auditor")
    items, _ = client.all("/history", limit=7)
    versions = names(items, "version")
    assert versions == list(range(1, len(versions) + 1))
    head = client.ok("GET", "/history/head")
    assert head["version"] == versions[-1]
    assert len(head["digest"]) == 64


@pytest.mark.parametrize(
    ("path", "name", "add"),
    [("/accounts/a001/keys", "write_key", ("/accounts/a001/keys", {"wait": False})),
     ("/accounts/a001/people", "person", ("/accounts/a001/people", {"role": "member"})),
     ("/tokens", "id", ("/tokens", {"role": "auditor"}))],
    ids=["keys", "people", "tokens"],
)  # fmt: skip
def test_lists_in_the_order_things_were_made_go_on_where_they_ended(many, path, name, add):
    client = many.client()
    for _ in range(4):
        client.ok("POST", *add)
    whole = names(client.all(path, limit=200)[0], name)
    page = client.ok("GET", path, params={"limit": 2})
    client.ok("POST", *add)
    rest = client.ok("GET", path, params={"limit": 200, "cursor": page["next"]})
    assert names([*page["items"], *rest["items"]], name)[: len(whole)] == whole
    assert len(page["items"] + rest["items"]) == len(whole) + 1


def test_the_command_lines_list_stays_a_list(many):
    assert isinstance(many.gateway.accounts(), list)
    assert isinstance(many.gateway.tokens(), list)
