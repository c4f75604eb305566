"""The main job on real input: a page in Chromium fires pixels while an operator pauses, resumes, cancels the account."""

import contextlib
import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import threading
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from tests.eventually import eventually
from tests.processes import ROOT, accepts, environment, free_port

PAGES = Path(__file__).parent / "pages"
PIXELGATE = ROOT / ".venv" / "bin" / "pixelgate"
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


class System:
    """`pixelgate run` on a directory of its own, and its command line."""

    def __init__(self, data, log):
        self.data, self.port, self.admin_port = data, free_port(), free_port()
        self.log = log

    def cli(self, *arguments, code=0):
        done = subprocess.run(
            [PIXELGATE, "--data", self.data, *arguments], capture_output=True, text=True, timeout=120, check=False,
            env=environment(self.data),
        )  # fmt: skip
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        return done

    def json(self, *arguments):
        return json.loads(self.cli(*arguments, "--json").stdout)

    @contextlib.contextmanager
    def running(self):
        ports = ["--host", "127.0.0.1", "--port", str(self.port), "--admin-port", str(self.admin_port)]
        with self.log.open("ab") as output:
            process = subprocess.Popen(
                [PIXELGATE, "--data", self.data, "run", "--workers", "2", *ports],
                stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=environment(self.data),
            )  # fmt: skip
        try:
            eventually(lambda: process.poll() is not None or b"/p/" in self.log.read_bytes(), 60)
            assert process.poll() is None, self.log.read_text()
            yield process
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0, self.log.read_text()
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def system(tmp_path):
    return System(tmp_path / "data", tmp_path / "run.log")


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
    assert not accepts(system.port)
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
