"""What a visitor of the shop does, and what its events must then look like."""

import os
import re
import shutil
from pathlib import Path

import pytest

PAGES = Path(__file__).parent / "pages"
CHROMIUM = shutil.which("chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]

needs_chromium = pytest.mark.skipif(CHROMIUM is None and not os.environ.get("CI"), reason="chromium is not installed")


def fire(chromium, site, port, write_key, event, count):
    """Come from the landing page to the shop, which fires `count` pixels; how many loaded, and what was fetched."""
    page = chromium.new_page()
    page.goto(f"{site}/landing.html")
    query = f"collector=http://127.0.0.1:{port}&key={write_key}&event={event}&count={count}&utm_source=news"
    page.evaluate("query => document.querySelector('a').search = query", query)
    page.click("a")
    page.wait_for_function("window.result !== undefined", timeout=120_000)
    result = page.evaluate("window.result")
    page.close()
    return result


def must_be_real(events, site):
    """The export holds what the browser sent: pages, referrers, query strings, its own name for itself."""
    assert {event["url"].partition("?")[0] for event in events} == {f"{site}/shop.html"}
    assert {event["referrer"] for event in events} == {f"{site}/landing.html"}
    assert all("utm_source=news" in event["url"] for event in events)
    assert all(re.search("Chrom", event["user_agent"]) for event in events)
    assert len({event["id"] for event in events}) == len(events)
