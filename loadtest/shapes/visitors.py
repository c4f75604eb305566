"""Browsers: FastHttpUsers that live through one visitor's session after another, each on a connection of its own."""

from collections.abc import Iterator
from random import Random
from typing import Any

from locust import FastHttpUser, task

from loadtest.peers.wire import is_pixel
from loadtest.shapes.load import Load, load_of, now
from loadtest.shapes.pace import Schedule
from loadtest.shapes.patience import Patient
from loadtest.traffic.session import Hit

NETWORK_SECONDS = 30.0
PIXEL = "/p/{write_key}.gif"
UNSAID = {"date", "connection"}
"""Headers that may differ between two answers."""


class Browser(Patient, FastHttpUser):
    """What every browser here has: a pace, random numbers of its own, and an eye on every answer."""

    abstract = True
    network_timeout = NETWORK_SECONDS
    connection_timeout = NETWORK_SECONDS
    load: Load
    random: Random
    schedule: Schedule

    def on_start(self) -> None:
        """Begin a schedule of its own."""
        self.load = load_of(self.environment)
        self.random = self.load.random()
        self.schedule = Schedule(self.random, self.load.part.interval_seconds, now())

    def is_due(self) -> bool:
        """Rest until the next hit is due; False where the run is over meanwhile."""
        self.schedule.go_on()
        return self.go_on_after(self.schedule.wait_seconds(now()))

    def fire(self, hit: Hit, mark: str = "", name: str = PIXEL, **headers: str) -> bool:
        """Send a hit, look at its answer, count; tells whether one came, right or wrong."""
        tally, due = self.load.tally, self.schedule.due
        tally.sent += 1
        tally.lateness.note(now() - due)
        sent_headers: dict[str, str] = {**dict(hit.headers), **headers}
        with self.client.get(hit.target + mark, headers=sent_headers, name=name, catch_response=True) as response:
            ended = now()
            status = response.status_code
            if not status:
                response.failure(f"no answer: {response.error!r}")
                tally.went_wrong(f"no answer: {type(response.error).__name__}")
                return False
            if status != 200 or not is_pixel(response.content or b""):
                fault = f"expected 200 and the GIF, got {status} with {len(response.content or b'')} bytes"
                response.failure(fault)
                tally.answered += 1
                tally.went_wrong(fault)
                return True
            response.success()
            tally.due.note(ended - due)
            tally.answer.note(float(response.request_meta["response_time"]) / 1e3)
            tally.saw(response.request_meta["start_time"], fingerprint(response.headers, response.content or b""))
        return True

    def leave(self) -> None:
        """Close the connections, as a browser does whose tab is gone."""
        self.client.client.clientpool.close()


def fingerprint(headers: Any, body: bytes) -> str:
    """Write down what an answer says beside its date."""
    said = [f"{name}: {value}" for name, value in headers.items() if name.lower() not in UNSAID]
    return "\n".join((*said, body.hex()))


class Visitor(Browser):
    """Sessions of sites that are drawn by Zipf's law."""

    _hits: Iterator[Hit] = iter(())

    @task
    def hit(self) -> None:
        """Fire the session's next hit; a new visitor comes when it is over."""
        if not self.is_due():
            return
        hit = next(self._hits, None)
        if hit is None:
            self.leave()
            self._hits = self.load.traffic.session(self.random)
            hit = next(self._hits)
        self.fire(hit)


class NewConnection(Browser):
    """The same hits, each on a connection that it asks to be closed."""

    _hits: Iterator[Hit] = iter(())

    @task
    def hit(self) -> None:
        """Fire one hit on a connection of its own."""
        if not self.is_due():
            return
        hit = next(self._hits, None)
        if hit is None:
            self._hits = self.load.traffic.session(self.random)
            hit = next(self._hits)
        self.fire(hit, Connection="close")
        self.leave()
