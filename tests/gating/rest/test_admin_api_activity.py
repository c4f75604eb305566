"""A deadline that hangs on activity, as the admin API shows it: it comes where the account's silence is known."""

import time

from gating.account import Request
from gating.datadir import DataDirectory
from gating.ledger import Ledger, Who, sqlite_url
from gating.lifecycle import carry_out, open_account, standing
from gating.policy import load_rulebook
from gating.status import DAY_US, Role
from tests.eventually import eventually
from tests.gating.rest.served import serving

WHO = Who("cli:local", Role.OPERATOR)


def silent_for(directory, days):
    """A free account without a hit for so long."""
    policy, at_us = load_rulebook("customertrackr"), time.time_ns() // 1000 - days * DAY_US
    with Ledger.open(sqlite_url(directory.ledger)) as ledger, ledger.begin() as transaction:
        transaction.keep_rulebook(policy.digest, policy.name, policy.text)
        decision = open_account(policy, "free", None, at_us)
        transaction.create_account(decision, standing(policy, decision.account), WHO)
        account = transaction.account("free").account
        for one in carry_out(policy, account, Request("set_free", Role.OPERATOR, "cli"), at_us + 1):
            transaction.record(one, standing(policy, one.account), WHO)


def test_an_account_whose_silence_is_not_known_is_shown_as_it_stands_and_can_be_changed(tmp_path):
    directory = DataDirectory.open(tmp_path / "data")
    silent_for(directory, 370)
    with serving(tmp_path / "data") as served:
        operator = served.client()
        answer = operator.get("/accounts/free")
        assert answer.json() == served.gateway.account("free")
        assert answer.json()["status"] == "ACTIVE"
        assert [line["status"] for line in operator.ok("GET", "/accounts")["items"]] == ["ACTIVE"]
        suspended = operator.request(
            "POST", "/accounts/free/commands/suspend", json={"reason": "abuse"},
            headers={"If-Match": answer.headers["etag"]},
        )  # fmt: skip
        assert suspended.json()["to"] == "SUSPENDED"
        operator.ok("POST", "/accounts/free/commands/unsuspend", {})
    with Ledger.open(sqlite_url(directory.ledger)) as ledger:
        now_us = time.time_ns() // 1000
        ledger.activity.note_known("a consumer", now_us, now_us)
    with serving(tmp_path / "data") as served:
        client = served.client()
        eventually(lambda: client.ok("GET", "/accounts/free")["status"] == "CANCELED", 20)
        assert served.gateway.account("free")["status"] == "CANCELED"
