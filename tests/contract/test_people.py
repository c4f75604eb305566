"""What every ledger promises about an account's people, and about the tokens that people sign in with."""

import pytest
from sqlalchemy import select

from gating.clock import Clock
from gating.errors import InputInvalid, NotFound
from gating.ledger import tables
from gating.people import People
from gating.status import Role
from gating.token import PREFIX, token_digest


@pytest.fixture
def people(ledger):
    return People(ledger, Clock())


def test_an_account_has_several_owners_and_members_with_a_permission(desk, people, ledger):
    desk.open()
    desk.open("other")
    people.add("shop", Role.OWNER, "ana@example.org", [])
    people.add("shop", Role.OWNER, "bo@example.org", [])
    people.add("shop", Role.MEMBER, None, ["billing", "billing"])
    found = ledger.people("shop")
    assert {(p.role, p.email, p.permissions) for p in found} == {
        ("owner", "ana@example.org", ()),
        ("owner", "bo@example.org", ()),
        ("member", None, ("billing",)),
    }
    assert ledger.people("other") == []


def test_somebody_who_left_is_listed_no_more_and_their_address_is_forgotten(desk, people, ledger):
    desk.open()
    desk.open("other")
    person = people.add("shop", Role.OWNER, "ana@example.org", [])["person"]
    with pytest.raises(NotFound):
        people.remove("other", person)
    people.remove("shop", person)
    assert ledger.people("shop") == []
    assert [row.email for row in ledger._rows(select(tables.people))] == [None]
    with pytest.raises(NotFound):
        people.remove("shop", person)


def test_the_tokens_of_somebody_who_left_end_and_nobody_elses(desk, people, ledger):
    desk.open()
    ana, bo = (people.add("shop", Role.OWNER, f"{name}@example.org", [])["person"] for name in ("ana", "bo"))
    tokens = [people.create_token(Role.OWNER, "shop", person, [], None)["id"] for person in (ana, bo)]
    people.remove("shop", ana)
    held = {token["id"]: token["holds"] for token in people.tokens()}
    assert [held[token] for token in tokens] == [False, True]


def test_erased_details_take_the_addresses_of_people_with_them(desk, people, ledger):
    desk.open()
    desk.open("other")
    people.add("shop", Role.OWNER, "ana@example.org", [])
    people.add("other", Role.OWNER, "bo@example.org", [])
    with ledger.begin() as transaction:
        assert transaction.erase_details("shop") == 1
    assert [p.email for p in ledger.people("shop")] == [None]
    assert [p.email for p in ledger.people("other")] == ["bo@example.org"]


def test_an_account_and_its_first_owner_are_made_in_one_transaction(desk, ledger):
    from gating.people import new_person

    with ledger.begin() as transaction:
        desk.open_in(transaction, "shop")
        transaction.add_person(new_person("shop", Role.OWNER, "ana@example.org", (), 1))
        assert transaction.account("shop").version == 1
    assert [p.role for p in ledger.people("shop")] == ["owner"]
    assert ledger.verify_history() == [] == ledger.verify_projections()


@pytest.mark.parametrize(
    ("role", "permissions"), [(Role.OPERATOR, []), (Role.OWNER, ["billing"]), (Role.MEMBER, ["x"])]
)
def test_nobody_joins_an_account_with_a_role_or_permission_that_is_none(desk, people, ledger, role, permissions):
    desk.open()
    with pytest.raises(InputInvalid):
        people.add("shop", role, None, permissions)
    assert ledger.people("shop") == []


def test_people_of_an_unknown_account_are_not_found(people):
    with pytest.raises(NotFound):
        people.of("nobody")
    with pytest.raises(NotFound):
        people.add("nobody", Role.OWNER, None, [])
    with pytest.raises(NotFound):
        people.create_token(Role.OWNER, "nobody", None, [], None)


def test_a_token_is_shown_once_and_kept_as_its_hash(people, ledger):
    made = people.create_token(Role.OPERATOR, None, "person-1", [], None)
    secret = made["token"]
    assert secret.startswith(PREFIX)
    assert all("token" not in shown for shown in people.tokens())
    kept = ledger._rows(select(tables.tokens))[0]
    assert secret not in str(kept)
    assert bytes(kept.digest) == token_digest(secret)
    found = ledger.tokens.of(token_digest(secret))
    assert found is not None
    assert (found.id, found.role, found.person) == (made["id"], "operator", "person-1")


def test_a_token_ends_when_it_expires_or_is_revoked(people, ledger):
    made = people.create_token(Role.AUDITOR, None, None, [], 60.0)
    token = ledger.tokens.of(token_digest(made["token"]))
    assert token.holds(token.expires_at_us - 1)
    assert not token.holds(token.expires_at_us)
    first = people.revoke_token(made["id"])
    assert not first["holds"]
    assert people.revoke_token(made["id"])["revoked_at"] == first["revoked_at"]
    with pytest.raises(NotFound):
        people.revoke_token("token-0")


@pytest.mark.parametrize(
    ("role", "account"), [(Role.OWNER, None), (Role.OPERATOR, "shop"), (Role.SYSTEM, None), (Role.SYSTEM, "shop")]
)
def test_a_token_acts_for_one_account_or_all_as_its_role_does(desk, people, role, account):
    desk.open()
    with pytest.raises(InputInvalid):
        people.create_token(role, account, None, [], None)
    assert people.tokens() == []


def test_a_mistyped_token_is_told_from_one_without_the_ledger(people):
    secret = people.create_token(Role.OPERATOR, None, None, [], None)["token"]
    wrong = secret[:20] + ("A" if secret[20] != "A" else "B") + secret[21:]
    assert token_digest(secret) is not None
    assert [token_digest(text) for text in (wrong, secret[:-1], secret + "0", "", "\x00", secret + "\n")] == [None] * 6
