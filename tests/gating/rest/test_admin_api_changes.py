"""Changes over the admin API: conditions, repetition, roles, and what the history then says."""

import pytest


def test_an_account_is_opened_flipped_and_looked_at_as_over_the_command_line(served, operator):
    made = operator.ok("POST", "/accounts", {"id": "whole", "rulebook": "default", "owner": "ana@example.org"})
    assert {"account", "rulebook", "plan", "status", "write_key", "version"} < set(made)
    flip = operator.ok("POST", "/accounts/whole/commands/pause", {})
    assert {"account", "command", "from", "to", "verdict", "access", "version", "enforced", "workers"} < set(flip)
    assert (flip["from"], flip["to"], flip["verdict"], flip["enforced"]) == ("ACTIVE", "PAUSED", "HIDE", True)
    shown = operator.ok("GET", "/accounts/whole")
    assert shown == served.gateway.account("whole")
    assert (shown["status"], shown["version"]) == ("PAUSED", flip["version"])


def test_the_history_names_the_token_and_its_person_and_the_channel(served, operator):
    account = served.account()
    person = operator.ok("POST", f"/accounts/{account}/people", {"role": "owner"})["person"]
    token = served.token(role="owner", account=account, person=person)
    served.client(token["token"]).ok("POST", f"/accounts/{account}/commands/pause", {})
    served.gateway.do(account, "resume")
    made = served.token()
    served.client(made["token"]).ok("POST", f"/accounts/{account}/commands/pause", {})
    rows = operator.ok("GET", f"/accounts/{account}/history")["items"]
    assert [(row["channel"], row["actor"], row["role"]) for row in rows] == [
        ("cli", "cli:local", "operator"),
        ("api", f"api:{person}:{token['id']}", "owner"),
        ("cli", "cli:local", "operator"),
        ("api", f"api:{made['id']}", "operator"),
    ]
    told = [{name: value for name, value in row.items() if name != "account"} for row in rows]
    assert served.gateway.history(account) == told


def test_a_member_cannot_cancel_and_is_told_which_rule_says_so(served):
    account = served.account()
    member = served.client(role="member", account=account)
    problem = member.refused(403, "POST", f"/accounts/{account}/commands/cancel", {})
    assert problem["code"] == "role_refused"
    assert "default.toml:" in problem["detail"]
    assert served.gateway.account(account)["status"] == "ACTIVE"


def test_a_members_permission_is_the_tokens(served):
    """kustomer 1: a member with the permission `billing` cancels, one without does not."""
    account = served.account(rulebook="kustomer", plan="essentials")
    body = {"confirm": True}
    served.client(role="member", account=account).refused(
        403, "POST", f"/accounts/{account}/commands/cancel", body
    )  # fmt: skip
    permitted = served.client(role="member", account=account, permissions=["billing"])
    assert permitted.ok("POST", f"/accounts/{account}/commands/cancel", body)["to"] == "CANCELED"


def test_a_token_acts_as_nobody_above_itself(served, operator):
    account = served.account()
    pause = f"/accounts/{account}/commands/pause"
    for role, given in (("member", account), ("support", None), ("admin", account), ("billing", None)):
        client = served.client(role=role, account=given)
        assert client.refused(403, "POST", pause, {"as": "operator"})["code"] == "forbidden"
        assert client.refused(403, "POST", pause, {"as": "owner"})["code"] == "forbidden"
    assert served.gateway.account(account)["status"] == "ACTIVE"
    assert operator.ok("POST", pause, {"as": "owner"})["to"] == "PAUSED"
    assert operator.ok("GET", f"/accounts/{account}/history")["items"][-1]["role"] == "owner"


def test_a_dry_run_changes_nothing(served, operator):
    account = served.account()
    before = operator.ok("GET", f"/accounts/{account}")
    dry = operator.ok("POST", f"/accounts/{account}/commands/pause", {"dry_run": True})
    assert (dry["to"], dry["version"], dry["enforced"]) == ("PAUSED", None, False)
    assert operator.ok("GET", f"/accounts/{account}") == before


# ---- If-Match --------------------------------------------------------------------------------------------------------


def test_a_change_is_made_only_at_the_version_it_names(served, operator):
    account = served.account()
    pause, resume = (f"/accounts/{account}/commands/{command}" for command in ("pause", "resume"))
    tag = operator.get(f"/accounts/{account}").headers["etag"]
    first = operator.post(pause, json={}, headers={"If-Match": tag})
    assert (first.status_code, first.headers["etag"]) == (200, f'"{first.json()["version"]}"')
    for stale in (tag, "5", "", "*5", f"W/{first.headers['etag']}", '"0", "7000000"'):
        problem = operator.refused(412, "POST", resume, {}, headers={"If-Match": stale})
        assert problem["code"] == "version_changed"
    assert operator.ok("GET", f"/accounts/{account}")["status"] == "PAUSED"
    operator.ok("POST", resume, {}, headers={"If-Match": f'"0", {first.headers["etag"]}'})
    operator.ok("POST", pause, {}, headers={"If-Match": "*"})
    keys = f"/accounts/{account}/keys"
    for path, body in ((keys, {}), (f"{keys}/rotate", {}), (f"/accounts/{account}/move", {})):
        operator.refused(412, "POST", path, body, headers={"If-Match": tag})
    operator.refused(404, "POST", "/accounts/nobody/commands/pause", {}, headers={"If-Match": '"1"'})


def test_of_two_changes_at_one_version_one_is_made(served, operator):
    account = served.account()
    tag = operator.get(f"/accounts/{account}").headers["etag"]
    answers = [
        operator.post(f"/accounts/{account}/keys", json={"source": name}, headers={"If-Match": tag}).status_code
        for name in ("a", "b")
    ]
    assert sorted(answers) == [201, 412]
    assert len(operator.ok("GET", f"/accounts/{account}/keys")["items"]) == 2


# ---- Idempotency-Key -------------------------------------------------------------------------------------------------


def test_the_same_key_and_request_is_answered_again_and_changes_nothing(served, operator):
    account = served.account()
    key = {"Idempotency-Key": "the-same"}
    keys = f"/accounts/{account}/keys"
    first = operator.post(keys, json={"source": "web", "wait": True}, headers=key)
    again = operator.post(
        keys, content=b'{ "wait": true,"source":"web" }', headers={**key, "Content-Type": "application/json"}
    )
    assert (first.status_code, again.status_code) == (201, 201)
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json()["write_key"] == first.json()["write_key"]
    assert again.json()["enforced"] is True
    assert len(operator.ok("GET", keys)["items"]) == 2
    assert operator.refused(422, "POST", keys, {"source": "ios"}, headers=key)["code"] == "idempotency_key_reused"
    assert operator.refused(422, "POST", f"{keys}/rotate", {"source": "web"}, headers=key)
    assert len(operator.ok("GET", keys)["items"]) == 2


@pytest.mark.parametrize("kind", ["account", "command", "rotation", "person"])
def test_every_change_that_makes_something_takes_a_key(served, operator, kind):
    account = served.account()
    path, body = {
        "account": ("/accounts", {"rulebook": "default"}),
        "command": (f"/accounts/{account}/commands/pause", {}),
        "rotation": (f"/accounts/{account}/keys/rotate", {}),
        "person": (f"/accounts/{account}/people", {"role": "owner"}),
    }[kind]
    answers = [operator.post(path, json=body, headers={"Idempotency-Key": f"key-{kind}"}) for _ in range(2)]
    assert [answer.is_success for answer in answers] == [True, True], answers[0].text
    assert [answer.headers.get("idempotency-replayed") for answer in answers] == [None, "true"]
    first, again = (
        {name: value for name, value in answer.json().items() if not name.endswith("_ms")} for answer in answers
    )
    assert again == first


def test_keys_of_two_tokens_never_meet(served):
    account = served.account()
    answers = [
        served.client(role="operator").post(f"/accounts/{account}/keys", json={}, headers={"Idempotency-Key": "k"})
        for _ in range(2)
    ]
    assert len({answer.json()["write_key"] for answer in answers}) == 2


def test_a_replay_comes_before_the_version_it_was_asked_at(served, operator):
    account = served.account()
    headers = {"If-Match": operator.get(f"/accounts/{account}").headers["etag"], "Idempotency-Key": "both"}
    for replayed in (None, "true"):
        answer = operator.post(f"/accounts/{account}/commands/pause", json={}, headers=headers)
        assert (answer.status_code, answer.headers.get("idempotency-replayed")) == (200, replayed)


def test_what_was_refused_is_tried_anew_under_its_key(served, operator):
    account = served.account()
    key = {"Idempotency-Key": "refused-first"}
    undo = f"/accounts/{account}/commands/revoke_deletion"
    operator.refused(409, "POST", undo, {}, headers=key)
    operator.ok("POST", f"/accounts/{account}/commands/delete", {"confirm": True})
    assert operator.ok("POST", undo, {}, headers=key)["to"] == "ACTIVE"


def test_a_key_is_not_ignored_where_none_is_taken(served, operator):
    """A token's secret is kept nowhere, so no answer that has one can be given again."""
    before = len(operator.all("/tokens", limit=200)[0])
    problem = operator.refused(400, "POST", "/tokens", {"role": "auditor"}, headers={"Idempotency-Key": "k"})
    assert problem["code"] == "not_supported"
    assert len(operator.all("/tokens", limit=200)[0]) == before
