"""The main job on real input: a page in Chromium fires while an operator pauses, resumes and cancels the account."""

import json

import pytest

from tests.browser.shop import fire, must_be_real, needs_chromium
from tests.system import System

pytestmark = [pytest.mark.timeout(600), needs_chromium]


@pytest.fixture
def system(tmp_path):
    return System(tmp_path)


def test_a_page_fires_pixels_while_the_account_is_paused_resumed_and_cancelled(chromium, site, system):
    """I1, I2, I9, I11: kept and visible, kept and hidden, revealed, and gone without a trace."""
    with system.running():
        write_key = system.json("account", "create", "--id", "shop", "--rulebook", "default")["write_key"]

        accepted = fire(chromium, site, system.port, write_key, "accepted", 1000)
        assert (accepted["loaded"], accepted["failed"]) == (1000, 0)
        report = system.json("report", "shop", "--as", "account", "--settled", "30")
        assert report["events"] == {"visible": 1000}
        assert {row["name"]: row["events"] for row in report["by_name"]} == {"accepted": 1000}

        assert system.json("account", "do", "shop", "pause")["enforced"]
        hidden = fire(chromium, site, system.port, write_key, "hidden", 500)
        assert hidden["loaded"] == 500
        refused = system.cli("report", "shop", "--as", "account", "--settled", "30", code=1)
        assert refused.stderr.count("\n") == 1
        seen = system.json("report", "shop", "--as", "operator", "--settled", "30")["events"]
        assert seen == {"visible": 1000, "hidden": 500, "unverified": 0}

        system.json("account", "do", "shop", "resume")
        report = system.json("report", "shop", "--as", "account", "--settled", "30")
        assert report["events"] == {"visible": 1500}

        system.json("account", "do", "shop", "cancel")
        dropped = fire(chromium, site, system.port, write_key, "dropped-without-a-trace", 500)
        assert dropped["loaded"] == 500
        assert dropped["fetched"] == accepted["fetched"] == hidden["fetched"]
        seen = system.json("report", "shop", "--as", "operator", "--settled", "30")["events"]
        assert seen == {"visible": 1500, "hidden": 0, "unverified": 0}
        assert "dropped-without-a-trace" not in contents(system.data)

        exported = system.data.parent / "events.ndjson"
        assert system.json("export", "shop", "--to", str(exported))["events"] == 1500
        events = [json.loads(line) for line in exported.read_text().split("\n") if line]
        must_be_real(events, site)
        numbers = sorted(int(event["params"]["n"]) for event in events if event["name"] == "accepted")
        assert numbers == list(range(1000))
        assert system.json("verify")["ok"]
    with system.running():  # the same data goes on
        assert system.json("report", "shop", "--as", "operator")["events"]["visible"] == 1500


def contents(data):
    """Every byte in the data directory, as text."""
    files = [path for path in data.rglob("*") if path.is_file()]
    return "".join(path.read_bytes().decode("latin-1") for path in files)
