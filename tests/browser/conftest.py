"""A website and a browser, for every story."""

import http.server
import threading

import pytest
from playwright.sync_api import sync_playwright

from tests.browser.shop import ARGUMENTS, CHROMIUM, PAGES


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


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()
