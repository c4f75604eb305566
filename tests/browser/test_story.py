"""The main job on real input: a page in Chromium fires while an operator pauses, resumes and cancels the account."""

import http.server
import json
import os
import re
import shutil
import threading
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from tests.system import System

PAGES = Path(__file__).parent / "pages"
CHROMIUM = shutil.which("chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(CHROMIUM is None and not os.environ.get("CI"), reason="chromium is not installed"),
]


class Site(http.server.SimpleHTTPRequestHandler):
    """The website: another origin than the collector's."""

    def __init__(self, *arguments):
        super().__init__(*arguments, directory=str(PAGES))

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
def system(tmp_path):
    return System(tmp_path)


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


def fire(chromium, site, system, write_key, event, count):
    """Come from the landing page to the shop, which fires `count` pixels; how many loaded, and what was fetched."""
    page = chromium.new_page()
    page.goto(f"{site}/landing.html")
    query = f"collector=http://127.0.0.1:{system.port}&key={write_key}&event={event}&count={count}&utm_source=news"
    page.evaluate("query => document.querySelector('a').search = query", query)
    page.click("a")
    page.wait_for_function("window.result !== undefined", timeout=120_000)
    result = page.evaluate("window.result")
    page.close()
    return result


def test_a_page_fires_pixels_while_the_account_is_paused_resumed_and_cancelled(chromium, site, system):
    """I1, I2, I9, I11: kept and visible, kept and hidden, revealed, and gone without a trace."""
    with system.running():
        write_key = system.json("account", "create", "--id", "shop", "--rulebook", "default")["write_key"]

        accepted = fire(chromium, site, system, write_key, "accepted", 1000)
        assert (accepted["loaded"], accepted["failed"]) == (1000, 0)
        report = system.json("report", "shop", "--as", "account", "--settled", "30")
        assert report["events"] == {"visible": 1000}
        assert {row["name"]: row["events"] for row in report["by_name"]} == {"accepted": 1000}

        assert system.json("account", "do", "shop", "pause")["enforced"]
        hidden = fire(chromium, site, system, write_key, "hidden", 500)
        assert hidden["loaded"] == 500
        refused = system.cli("report", "shop", "--as", "account", "--settled", "30", code=1)
        assert refused.stderr.count("\n") == 1
        seen = system.json("report", "shop", "--as", "operator", "--settled", "30")["events"]
        assert seen == {"visible": 1000, "hidden": 500, "unverified": 0}

        system.json("account", "do", "shop", "resume")
        report = system.json("report", "shop", "--as", "account", "--settled", "30")
        assert report["events"] == {"visible": 1500}

        system.json("account", "do", "shop", "cancel")
        dropped = fire(chromium, site, system, write_key, "dropped-without-a-trace", 500)
        assert dropped["loaded"] == 500
        assert dropped["fetched"] == accepted["fetched"] == hidden["fetched"]
        seen = system.json("report", "shop", "--as", "operator", "--settled", "30")["events"]
        assert seen == {"visible": 1500, "hidden": 0, "unverified": 0}
        assert "dropped-without-a-trace" not in contents(system.data)

        exported = system.data.parent / "events.ndjson"
        assert system.json("export", "shop", "--to", str(exported))["events"] == 1500
        must_be_real([json.loads(line) for line in exported.read_text().split("\n") if line], site)
        assert system.json("verify")["ok"]
    with system.running():  # the same data goes on
        assert system.json("report", "shop", "--as", "operator")["events"]["visible"] == 1500


def contents(data):
    """Every byte in the data directory, as text."""
    files = [path for path in data.rglob("*") if path.is_file()]
    return "".join(path.read_bytes().decode("latin-1") for path in files)


def must_be_real(events, site):
    """The export holds what the browser sent: pages, referrers, query strings, its own name for itself."""
    assert {event["url"].partition("?")[0] for event in events} == {f"{site}/shop.html"}
    assert {event["referrer"] for event in events} == {f"{site}/landing.html"}
    assert all("utm_source=news" in event["url"] for event in events)
    assert all(re.search("Chrom", event["user_agent"]) for event in events)
    assert len({event["id"] for event in events}) == len(events)
    numbers = sorted(int(event["params"]["n"]) for event in events if event["name"] == "accepted")
    assert numbers == list(range(1000))
