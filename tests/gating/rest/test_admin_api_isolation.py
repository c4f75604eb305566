"""A token of one account knows of no other: every route of the OpenAPI document is tried."""

import httpx
import pytest

from gating.rest.roles import ACTS_AS, GIVES, RIGHTS, Verb
from gating.status import Role
from tests.gating.rest.operations import BODIES, operations

ACCOUNT_ROLES = ("owner", "admin", "member", "billing")


@pytest.fixture(scope="session")
def document(served):
    return httpx.get(f"{served.url}/api/openapi.json").json()


@pytest.fixture(scope="session")
def two(served):
    """Two accounts, each with somebody and a token: what one must not know of the other."""
    mine, other = served.account(), served.account()
    operator = served.client()
    known = {"account": other, "person": operator.ok("POST", f"/accounts/{other}/people", {"role": "member"})["person"]}
    known["token"] = served.token(role="member", account=other)["id"]
    operator.ok("POST", f"/accounts/{other}/commands/delete", {"confirm": True})  # so that it has a deadline
    operator.ok("POST", f"/accounts/{mine}/commands/delete", {"confirm": True})
    known["key"] = operator.ok("GET", f"/accounts/{other}")["keys"][0]["write_key"]
    return mine, known


@pytest.fixture(scope="session")
def clients(served, two):
    """One a role: those of `two`'s first account, and an auditor."""
    own = {role: served.client(role=role, account=two[0]) for role in ACCOUNT_ROLES}
    return {**own, "auditor": served.client(role="auditor")}


@pytest.mark.parametrize("role", ACCOUNT_ROLES)
@pytest.mark.parametrize("name", sorted(BODIES))
def test_anothers_account_is_answered_as_one_that_there_is_not(clients, document, two, role, name):
    mine, other = two
    operation = next(one for one in operations(document) if one.id == name)
    client = clients[role]
    theirs = operation.ask(client, other["account"], person=other["person"], token=other["token"])
    nobodys = operation.ask(client, "shop-0", person="person-0", token="token-0")
    if operation.of_account or name == "revokeToken":
        assert nobodys.status_code in (403, 404)
        assert theirs.status_code == nobodys.status_code
        told = theirs.text.replace(other["account"], "shop-0").replace(other["token"], "token-0")
        assert told == nobodys.text
        allowed = ("etag", "content-length", "date")
        assert {k: v for k, v in theirs.headers.items() if k not in allowed} == {
            k: v for k, v in nobodys.headers.items() if k not in allowed
        }
    else:
        assert theirs.status_code in (200, 403)
        if name == "listAccounts":
            assert [row["account"] for row in theirs.json()["items"]] == [mine]
    if theirs.is_success:
        assert [value for value in other.values() if value in theirs.text] == []


@pytest.mark.parametrize("name", ["listAccounts", "listDeadlines", "listTokens"])
def test_a_list_without_a_filter_tells_of_the_own_account_alone(served, document, two, name):
    mine, other = two
    operation = next(one for one in operations(document) if one.id == name)
    client = served.client(role="owner", account=mine)
    items, _ = client.all(operation.path)
    assert items
    assert {item["account"] for item in items} == {mine}
    assert other["token"] not in str(items)


def test_what_another_account_holds_is_as_it_was_after_all_that(served, two):
    _, other = two
    shown = served.gateway.account(other["account"])
    assert (shown["status"], [key["write_key"] for key in shown["keys"]]) == ("DELETION_SCHEDULED", [other["key"]])
    assert [person["person"] for person in served.gateway.people(other["account"])] == [other["person"]]
    assert next(token for token in served.gateway.tokens() if token["id"] == other["token"])["holds"]


# ---- roles -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(BODIES))
def test_an_auditor_reads_everything_and_changes_nothing(clients, document, two, name):
    operation = next(one for one in operations(document) if one.id == name)
    answer = operation.ask(clients["auditor"], two[0])
    if operation.method == "GET":
        assert answer.status_code in (200, 404, 409, 503), answer.text  # 503: no consumer runs here
    else:
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize("name", sorted(BODIES))
def test_nothing_is_closed_to_an_operator(served, operator, document, name):
    operation = next(one for one in operations(document) if one.id == name)
    assert operation.ask(operator, served.account()).status_code not in (401, 403)


def test_the_table_of_roles_is_the_one_that_was_agreed_on():
    """o owner, a admin, m member, b billing, s support, O operator, A auditor."""
    letters = {
        Role.OWNER: "o", Role.ADMIN: "a", Role.MEMBER: "m", Role.BILLING: "b", Role.SUPPORT: "s", Role.OPERATOR: "O",
        Role.AUDITOR: "A",
    }  # fmt: skip
    assert {verb.name: "".join(sign for role, sign in letters.items() if role in RIGHTS[verb]) for verb in Verb} == {
        "SHOW": "oambsOA", "HISTORY": "oambsOA", "USAGE": "oambsOA", "CREATE": "O", "COMMAND": "oambsO", "MOVE": "O",
        "SHOW_KEYS": "oambsOA", "CHANGE_KEYS": "oasO", "SHOW_PEOPLE": "oasOA", "CHANGE_PEOPLE": "oasO",
        "SHOW_TOKENS": "oaOA", "CHANGE_TOKENS": "oaO", "AUDIT": "OA", "SHOW_EFFECTS": "sOA", "CHANGE_EFFECTS": "sO",
        "SHOW_BILLING": "bsOA", "CHANGE_BILLING": "bO",
    }  # fmt: skip


def test_nobody_acts_as_or_makes_anybody_above_themselves():
    """Whom a role may act as, it may act as whomever those may; nobody may be the sweeper."""
    assert set(ACTS_AS) == set(Role) - {Role.SYSTEM}
    for role, others in ACTS_AS.items():
        assert all(ACTS_AS[other] <= others for other in others)
        assert Role.SYSTEM not in others | GIVES.get(role, frozenset())
        assert role is Role.OPERATOR or Role.OPERATOR not in others | GIVES.get(role, frozenset())


def test_an_owner_makes_tokens_for_those_below_and_ends_those_of_the_own_account(served):
    account, other = served.account(), served.account()
    owner = served.client(role="owner", account=account)
    made = owner.ok("POST", "/tokens", {"role": "member", "account": account, "permissions": ["billing"]})
    member = served.client(made["token"])
    assert member.ok("GET", "/token")["permissions"] == ["billing"]
    member.refused(403, "POST", "/tokens", {"role": "member", "account": account})
    for above in ({"role": "operator"}, {"role": "billing", "account": account}, {"role": "auditor"}):
        owner.refused(403, "POST", "/tokens", above)
    owner.refused(404, "POST", "/tokens", {"role": "member", "account": other})
    owner.ok("DELETE", f"/tokens/{made['id']}")
    member.refused(401, "GET", "/token")
    admin = served.client(role="admin", account=account)
    admin.refused(403, "DELETE", f"/tokens/{owner.ok('GET', '/token')['token']}")
    person = owner.ok("POST", f"/accounts/{account}/people", {"role": "owner"})["person"]
    admin.refused(403, "DELETE", f"/accounts/{account}/people/{person}")
    admin.refused(403, "POST", f"/accounts/{account}/people", {"role": "owner"})


def test_billing_acts_for_one_account_or_for_all(served, operator):
    account = served.account(rulebook="kustomer", plan="essentials")
    operator.ok("POST", f"/accounts/{account}/commands/cancel", {"confirm": True, "as": "owner"})
    team = served.client(role="billing")
    assert team.ok("POST", f"/accounts/{account}/commands/restart", {"for": "member+billing"})["to"] == "ACTIVE"
    assert operator.ok("GET", f"/accounts/{account}/history")["items"][-1]["for"] == "member+billing"
    served.client(role="billing", account=served.account()).refused(
        404, "POST", f"/accounts/{account}/commands/restart", {"for": "owner"}
    )  # fmt: skip


def test_access_binds_where_data_is_read(served, operator):
    """All five 3: commands follow their roles, data follows the access."""
    account = served.account()
    owner = served.client(role="owner", account=account)
    owner.refused(503, "GET", f"/accounts/{account}/usage")  # no consumer runs here
    owner.ok("POST", f"/accounts/{account}/commands/pause", {})
    assert owner.refused(403, "GET", f"/accounts/{account}/usage")["code"] == "access_denied"
    operator.refused(503, "GET", f"/accounts/{account}/usage")
    assert owner.ok("GET", f"/accounts/{account}")["access"] == "NONE"
    assert owner.ok("POST", f"/accounts/{account}/commands/resume", {})["access"] == "FULL"
