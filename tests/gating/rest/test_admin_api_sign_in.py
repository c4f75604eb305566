"""Signing in to the admin API: who is let in, how those who are not are answered, counted and slowed down."""

import socket

import httpx
import pytest

from gating.rest.slowdown import FREE_TRIES
from gating.token import new_token
from tests.eventually import eventually
from tests.gating.rest.served import serving


def asked(served, headers, address="127.0.0.1"):
    with httpx.Client(transport=httpx.HTTPTransport(local_address=address, verify=False)) as client:
        return client.get(f"{served.url}/api/v1/accounts", headers=headers)


def failures(served, reason):
    return served.metric(f'pixelgate_auth_failures_total{{reason="{reason}"}}')


def test_without_a_token_nothing_is_told_but_how_to_sign_in(served):
    before = failures(served, "missing")
    for path in ("accounts", "accounts/shop", "nothing", "tokens"):
        answer = httpx.get(f"{served.url}/api/v1/{path}")
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="pixelgate"')
        assert answer.json()["code"] == "not_signed_in"
    assert failures(served, "missing") == before + 4


def test_unknown_expired_revoked_and_mistyped_tokens_are_answered_alike(served):
    expired = served.token(expires=1e-3)["token"]
    revoked = served.token()
    served.gateway.revoke_token(revoked["id"])
    texts = [new_token(), expired, revoked["token"], revoked["token"][:-1], "x"]
    answers = [asked(served, {"Authorization": f"Bearer {text}"}, "127.0.0.2") for text in texts]
    answers += [asked(served, {"Authorization": text}, "127.0.0.2") for text in ("Basic eDp5", "Bearer")]
    told = {(answer.status_code, answer.headers["www-authenticate"], answer.text) for answer in answers}
    assert len(told) == 1
    assert next(iter(told))[:2] == (401, 'Bearer realm="pixelgate", error="invalid_token"')


def test_a_removed_persons_token_is_refused_at_once(served, operator):
    account = served.account()
    person = operator.ok("POST", f"/accounts/{account}/people", {"role": "owner"})["person"]
    client = served.client(role="owner", account=account, person=person, address="127.0.0.3")
    client.ok("GET", f"/accounts/{account}")
    operator.ok("DELETE", f"/accounts/{account}/people/{person}")
    client.refused(401, "GET", f"/accounts/{account}")
    made_later = served.client(role="owner", account=account, person=person, address="127.0.0.3")
    made_later.refused(401, "GET", f"/accounts/{account}")


def test_the_tokens_of_a_deleted_account_are_refused(served, operator):
    """clickport 14: API keys work until the processing, then are refused."""
    account = served.account(rulebook="clickport")
    owner = served.client(role="owner", account=account, address="127.0.0.4")
    owner.ok("POST", f"/accounts/{account}/commands/request_deletion", {"confirm": True})
    owner.ok("GET", f"/accounts/{account}")
    operator.ok("POST", f"/accounts/{account}/commands/answer", {"as": "support"})
    operator.ok(
        "POST", f"/accounts/{account}/commands/confirm_deletion", {"for": "owner", "set": {"reply": "yes"}}
    )  # fmt: skip
    owner.refused(401, "GET", f"/accounts/{account}")


def test_whoever_fails_too_often_has_to_wait_and_nobody_else(served):
    good = served.token()["token"]
    known = served.client(address="127.0.0.5")
    known.ok("GET", "/token")
    slowed = failures(served, "slowed")
    wrong = {"Authorization": f"Bearer {new_token()}"}
    statuses = [asked(served, wrong, "127.0.0.5").status_code for _ in range(FREE_TRIES + 3)]
    assert statuses[:FREE_TRIES] == [401] * FREE_TRIES
    assert statuses[-1] == 429
    answer = asked(served, wrong, "127.0.0.5")
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_tries")
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    # What might be a guess that is right is not looked at either; a token that was good before goes on, and so does
    # everybody elsewhere.
    assert asked(served, {"Authorization": f"Bearer {good}"}, "127.0.0.5").status_code == 429
    known.ok("GET", "/token")
    assert asked(served, {"Authorization": f"Bearer {good}"}, "127.0.0.6").status_code == 200
    assert failures(served, "slowed") >= slowed + 3


def test_a_revoked_token_goes_on_nowhere_though_it_was_good_before(served):
    made = served.token()
    client = served.client(made["token"], address="127.0.0.7")
    client.ok("GET", "/token")
    served.gateway.revoke_token(made["id"])
    client.refused(401, "GET", "/token")


def test_when_a_token_was_last_used_is_noted(served):
    made = served.token(role="auditor")
    assert made["used_at"] is None
    client = served.client(made["token"])
    client.ok("GET", "/token")

    def used():
        return next(token for token in served.gateway.tokens() if token["id"] == made["id"])["used_at"]

    first = eventually(used, 15)
    client.ok("GET", "/token")
    assert used() == first


def test_no_token_reaches_a_log_or_a_file(tmp_path):
    """Through refusals, requests that are none and the process's end; nor into any file."""
    with serving(tmp_path / "data") as served:
        client = served.client()
        client.ok("POST", "/accounts", {"id": "shop", "rulebook": "default"})
        secret = served.secrets[0]
        wrong = new_token()
        client.post("/tokens", json={"role": "owner", "account": "shop", "token": secret})
        client.get(f"/accounts/{secret}")
        client.get("/accounts", params={"token": secret})
        client.post(f"/accounts/shop/commands/{secret}", json={"reason": secret})
        asked(served, {"Authorization": f"Bearer {wrong}"})
        for raw in (
            b"GET /api/v1/token HTTP/9.9\r\nAuthorization: Bearer " + secret.encode() + b"\r\n\r\n",
            b"\0" * 64,
        ):
            assert "400 Bad Request" in sent(served.port, raw)
        made = client.ok("POST", "/tokens", {"role": "owner", "account": "shop"})
        assert served.process.stop() == 0
        log = served.process.log.encode()
    kept = b"".join(path.read_bytes() for path in served.data.rglob("*") if path.is_file())
    assert b"SQLite" in kept
    assert [text for text in (secret, wrong, made["token"]) if text.encode() in log + kept] == []


def sent(port, raw):
    """What comes back to these bytes."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as peer:
        peer.sendall(raw)
        peer.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: peer.recv(65536), b"")).decode("latin-1")


@pytest.mark.parametrize("path", ["/metrics", "/health/live", "/health/ready", "/api/openapi.json"])
def test_what_tells_nothing_of_an_account_needs_no_token(served, path):
    assert httpx.get(served.url + path).status_code == 200
