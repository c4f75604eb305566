"""Doctor on what payment providers told and what decisions owe: each thing that can be wrong is found."""

import pytest

from deploy.check import FAIL, OK, WARN
from deploy.doctor import examine
from deploy.doctor_billing import assess as assess_billing
from deploy.doctor_effects import assess as assess_effects
from deploy.doctor_effects import whom_told
from gating.config import GatingSettings
from gating.datadir import DataDirectory
from gating.gateway import Gateway
from gating.ledger import Ledger, sqlite_url
from gating.ledger.effects import Sums
from gating.ledger.events import Received, State, store
from gating.policy import load_rulebook

NOW = 1_772_366_400.0
SET = {"smtp_url": "smtp://127.0.0.1:25", "mail_from": "px@example.org", "operators_mail": "ops@example.org"}


@pytest.mark.parametrize(
    ("taken", "used", "states", "waited", "result", "words"),
    [
        ([], [], {}, 0, OK, "no webhooks are taken"),
        (["stripe"], ["stripe"], {State.APPLIED: 9}, 0, OK, "webhooks of stripe"),
        (["stripe"], ["paddle"], {}, 0, WARN, "accounts pay by paddle"),
        (["stripe"], [], {State.PARKED: 2, State.FAILED: 1}, 0, WARN, "1 failed; 2 parked"),
        (["stripe"], [], {State.PENDING: 1}, 61, FAIL, "the oldest event waits for 61 s"),
    ],
)
def test_billing_says_what_is_not_taken_not_read_and_not_applied(taken, used, states, waited, result, words):
    check = assess_billing(taken, used, states, waited)
    assert (check.result, words in check.found) == (result, True), check
    assert bool(check.advice) is (result != OK)


@pytest.mark.parametrize(
    ("sums", "told", "settings", "result", "words"),
    [
        ({}, (), {}, OK, "0 owed"),
        ({"notify": Sums(1, int(NOW * 1e6) - 10**6, 0)}, (), {}, OK, "1 owed"),
        ({"notify": Sums(0, None, 3)}, (), {}, WARN, "3 given up"),
        ({"resync": Sums(2, int((NOW - 7200) * 1e6), 0)}, (), {}, FAIL, "due since 2.0 h"),
        ({"stop_billing": Sums(1, int((NOW + 7200) * 1e6), 0)}, (), {}, OK, "1 owed"),
        ({}, ("owners",), {}, WARN, "notices to owners go to a file alone"),
        ({}, ("owners",), {"webhook_url": "https://example.org/"}, OK, "0 owed"),
        ({}, ("owners", "operators"), SET, OK, "0 owed"),
        ({}, ("operators",), {**SET, "operators_mail": None}, WARN, "PIXELGATE_OPERATORS_MAIL is not set"),
        ({}, ("owners",), {**SET, "mail_from": None}, WARN, "PIXELGATE_MAIL_FROM is not set"),
    ],
)
def test_effects_say_what_is_late_given_up_and_has_no_way(sums, told, settings, result, words):
    check = assess_effects(sums, frozenset(told), GatingSettings(**settings), NOW)
    assert (check.result, words in check.found) == (result, True), check
    assert bool(check.advice) is (result != OK)


def test_whom_a_rulebook_tells_is_read_from_its_rows():
    assert whom_told([load_rulebook("default")]) == frozenset()
    assert whom_told([load_rulebook("clickport"), load_rulebook("customertrackr")]) == {"operators", "asker", "owners"}


def test_a_whole_look_finds_what_the_ledger_holds(tmp_path, monkeypatch):
    directory = DataDirectory.open(tmp_path / "data")
    Gateway.open(directory).create_account("shop", rulebook="clickport")
    parked = Received("paddle", "evt_1", "ping", 1, 1, None, "ctm_1", b"{}", State.PARKED)
    with Ledger.open(sqlite_url(directory.ledger)) as ledger:
        ledger.note(lambda connection: store(connection, [parked]))
    Gateway.open(directory).link_customer("shop", provider="stripe", customer="cus_1")
    monkeypatch.setenv("PIXELGATE_PADDLE_SECRET", "pdl_1")
    checks = {check.name: check for check in examine(directory.root)}
    assert checks["billing"].found == "webhooks of paddle; accounts pay by stripe, whose secret is not set; 1 parked"
    assert "notices to asker, operators go to a file alone" in checks["effects"].found
