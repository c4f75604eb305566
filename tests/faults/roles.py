"""One data directory whose roles a test starts, freezes and kills one by one, and whoever fires at its collector."""

import contextlib
import http.client
import itertools
import json
import re
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from collector.journal import journals, show
from consumers.client import ConsumerClient
from consumers.config import ConsumerSettings
from consumers.warehouse.protocol import Audience
from gating.datadir import DataDirectory
from gating.gateway import Gateway
from gating.ledger import HistoryRow, KeyRow, Ledger, sqlite_url
from gating.status import SECOND_US, Verdict
from tests.eventually import eventually
from tests.processes import Process, answers, collector, environment, free_port, gating
from tests.system import PIXELGATE, System

PACE_SECONDS = 0.02


@dataclass(frozen=True)
class Kept:
    """A record of the journal: hit `number` on `key`, as the worker left it."""

    number: int
    key: str
    received_at_us: int
    verified: bool
    verdict: Verdict
    version: int


class Roles:
    """The data directory; `system` is its command line. Whatever was started ends with the block."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.system = System(folder)
        self.directory = DataDirectory.open(self.system.data)
        self.port = free_port()
        self._numbers = itertools.count(1)
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "Roles":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    # ---- roles ------------------------------------------------------------------------------------------------------

    def gating(self) -> Process:
        return self._stack.enter_context(gating(self.system.data, self.folder / "gating.log"))

    def collector(self, **settings: object) -> Process:
        log = self.folder / "collector.log"
        return self._stack.enter_context(collector(self.system.data, log, self.port, **settings))

    def consumer(self) -> Process:
        return self._stack.enter_context(_consumer(self.system.data, self.folder / "consumer.log"))

    def tail(self, account: str, audience: str) -> "Tail":
        return self._stack.enter_context(_tail(self, account, audience))

    @property
    def gateway(self) -> Gateway:
        """Asks the gating process, or leads by itself where none runs."""
        return Gateway.open(self.directory)

    def history(self, account: str) -> list[HistoryRow]:
        """Its changes as the file has them: nobody is asked, so nobody leads meanwhile and grants a lease."""
        with Ledger.open_reading(sqlite_url(self.directory.ledger)) as ledger:
            return ledger.history(account)

    def keys(self, account: str) -> dict[str, KeyRow]:
        """Its write keys, likewise."""
        with Ledger.open_reading(sqlite_url(self.directory.ledger)) as ledger:
            return {key.write_key: key for key in ledger.keys(account)}

    def leased(self) -> bool:
        """Whether the worker verifies hits now."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        with contextlib.closing(client):
            client.request("GET", "/health/ready")
            return bool(json.loads(client.getresponse().read())["ready"])

    def await_lease(self) -> None:
        eventually(self.leased, 20)

    def await_lease_over(self) -> None:
        """Once nobody leads, the last lease runs out and stays so."""
        eventually(lambda: not self.leased(), 20)

    @contextlib.contextmanager
    def change_in_hand(self) -> Iterator[None]:
        """A change that is begun and does not come to its end: until it does, no history is complete."""
        with contextlib.closing(sqlite3.connect(self.directory.ledger, timeout=20, isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            yield
            writer.execute("ROLLBACK")

    # ---- hits -------------------------------------------------------------------------------------------------------

    def fire(self, *keys: str) -> list[int]:
        """One answered hit a key, over one connection; their numbers."""
        numbers = []
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as client:
            for key in keys:
                numbers.append(next(self._numbers))
                client.sendall(f"GET /p/{key}.gif?e=hit&n={numbers[-1]} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                must_be_pixel(client)
        return numbers

    def kept(self) -> list[Kept]:
        """Every record of every journal, in order."""
        return [
            Kept(int(n), key.decode(), r.received_at_us, r.verified, r.verdict, r.version)
            for info in journals(self.directory.journals)
            for r in show(self.directory.journals / info.id)
            for key, n in re.findall(rb"/p/(\w+)\.gif\?e=hit&n=(\d+) ", r.head)
        ]

    # ---- what may be seen -------------------------------------------------------------------------------------------

    def counts(self, account: str, audience: str, settled: float | None = None) -> dict[str, int]:
        """A report's `events`."""
        report = self._consumers().report(account, audience=Audience(audience), settled=settled)
        found: dict[str, int] = report["events"]
        return found

    def exported(self, account: str, audience: str) -> dict[int, dict[str, object]]:
        """An export's events, by their hits' numbers."""
        path = self.folder / f"{account}-{audience}.ndjson"
        self._consumers().export(account, path, audience=Audience(audience))
        events = [json.loads(line) for line in path.read_text().splitlines()]
        found = {int(event["params"]["n"]): event for event in events}
        assert len(found) == len(events)  # I10: none twice
        return found

    def _consumers(self) -> ConsumerClient:
        return ConsumerClient(self.directory, ConsumerSettings(data=self.system.data))

    def await_trouble(self) -> None:
        """The consumer has found that it cannot settle."""
        eventually(lambda: (self._consumers().status() or {})["trouble"], 20)

    def must_verify(self) -> dict[str, int]:
        """`verify` finds nothing wrong; its sums."""
        sums: dict[str, int] = self.system.json("verify")
        assert sums["ok"], sums
        return sums


def must_be_pixel(client: socket.socket) -> None:
    """Read one answer, which must be the pixel."""
    data = b""
    while not data.endswith(b";"):  # a GIF's last byte
        chunk = client.recv(65536)
        assert chunk, data
        data += chunk
    assert data.startswith(b"HTTP/1.1 200 "), data


class Traffic(threading.Thread):
    """Fires at all of `keys` in turn until the block ends; a key may be added at any time."""

    def __init__(self, roles: Roles, *keys: str) -> None:
        super().__init__()
        self._roles = roles
        self.keys = list(keys)
        self.fired: list[int] = []
        self.answered_from_us = 0  # every key has an answered hit that was sent later than this
        self._stopping = threading.Event()

    def run(self) -> None:
        while not self._stopping.wait(PACE_SECONDS):
            sent_us = time.time_ns() // 1000
            self.fired += self._roles.fire(*self.keys)
            self.answered_from_us = sent_us

    def __enter__(self) -> "Traffic":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self.join()

    def go_on(self, seconds: float, after_us: int | None = None) -> None:
        """Return once every key had a hit answered that was sent so many seconds after `after_us`, or after now."""
        until_us = (after_us or time.time_ns() // 1000) + int(seconds * SECOND_US)
        eventually(lambda: self.is_alive() and self.answered_from_us > until_us, 30)


class Tail:
    """A `pixelgate tail` that runs."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def shown(self) -> dict[int, bool]:
        """The hits it has shown so far: number -> verified."""
        lines = self._path.read_text().split("\n")[:-1]
        return {int(event["params"]["n"]): event["verified"] for event in map(json.loads, lines)}


@contextlib.contextmanager
def _consumer(data: Path, log: Path) -> Iterator[Process]:
    process = Process(["-m", "consumers"], data, log)
    try:
        eventually(lambda: process.must_live() and answers(data / "consumer.sock"), 20)
        yield process
    finally:
        process.kill()


@contextlib.contextmanager
def _tail(roles: Roles, account: str, audience: str) -> Iterator[Tail]:
    path = roles.folder / f"tail-{audience}"
    command = [PIXELGATE, "--data", roles.system.data, "tail", account, "--as", audience, "--json"]
    with path.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, env=environment(roles.system.data, PYTHONUNBUFFERED="1"))
    try:
        yield Tail(path)
    finally:
        process.kill()
        process.wait()
