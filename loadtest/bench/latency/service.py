"""Service time: what Pixelgate tells of how long hits are inside its worker, scraped from its metrics port. Black box.

The collector is started with PIXELGATE_SERVICE_TIMES and a metrics port; its histogram before a load is taken from the
one after it.
"""

import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from loadtest.peers.pixelgate import Pixelgate
from loadtest.peers.server import POLL_SECONDS, START_SECONDS, Place, Running, ServerFailed, free_port

METRIC: Final = "pixelgate_service_seconds"
UNTIL: Final = ("given", "written")
"""Where a time ends: before the answer is handed to the transport, and after, when write(2) has returned."""
PUBLISHED_SECONDS: Final = 2.0
"""A worker publishes once a second: after this it has told of every hit."""

Buckets = Sequence[tuple[float, float]]
"""(bound in seconds, hits up to it), as a histogram is exposed: the last one counts all."""


@dataclass(frozen=True, slots=True)
class Service:
    """Service times of one load, by where they end: hits, and percentiles in microseconds (bounds of buckets)."""

    hits: int
    given_us: Mapping[str, float]
    written_us: Mapping[str, float]


class TimedPixelgate(Pixelgate):
    """Pixelgate that times its hits; `metrics_port` is the one of its last start."""

    metrics_port = 0

    def start(self, place: Place) -> Running:
        """Start it as its base does, with two settings more."""
        self.metrics_port = free_port()
        given = {"PIXELGATE_SERVICE_TIMES": "true", "PIXELGATE_METRICS_PORT": str(self.metrics_port)}
        before = {name: os.environ.get(name) for name in given}
        os.environ.update(given)
        try:
            return super().start(place)
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


def scrape(port: int) -> dict[str, Buckets]:
    """Read the histograms, once what was last answered has been published. Raises ServerFailed where none come."""
    time.sleep(PUBLISHED_SECONDS)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=START_SECONDS) as answer:
                found = parse(answer.read().decode())
        except (OSError, urllib.error.URLError):
            found = {}
        if set(found) == set(UNTIL):
            return found
        time.sleep(POLL_SECONDS)
    raise ServerFailed(f"port {port} tells no {METRIC}")


def parse(text: str) -> dict[str, Buckets]:
    """Find the histograms in an exposition. Pure."""
    found: dict[str, list[tuple[float, float]]] = {}
    for labels, value in re.findall(rf"^{METRIC}_bucket\{{(.*)\}} (\S+)$", text, re.MULTILINE):
        named = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        found.setdefault(named["until"], []).append((float(named["le"]), float(value)))
    return {until: sorted(buckets) for until, buckets in found.items()}


def between(before: Buckets, after: Buckets) -> Buckets:
    """The hits that came between two scrapes. Raises ServerFailed where they do not belong together."""
    if [bound for bound, _ in before] != [bound for bound, _ in after]:
        raise ServerFailed("the histogram's buckets changed during the load")
    return [(bound, now - then) for (bound, now), (_, then) in zip(after, before, strict=True)]


def percentiles(buckets: Buckets, percents: Sequence[str] = ("50", "90", "99", "99.9")) -> dict[str, float]:
    """Upper bounds in microseconds: the true figure is at most one bucket (an eighth of an octave) below. Pure."""
    hits = buckets[-1][1] if buckets else 0
    if not hits:
        raise ServerFailed("no hit was timed")
    return {
        percent: next(bound for bound, below in buckets if below >= hits * float(percent) / 100) * 1e6
        for percent in percents
    }


def service(before: Mapping[str, Buckets], after: Mapping[str, Buckets]) -> Service:
    """Service times of the load between two scrapes."""
    given, written = (between(before[until], after[until]) for until in UNTIL)
    return Service(round(written[-1][1]), percentiles(given), percentiles(written))
