"""Flips a second, beside hits at one pace: what each costs the worker that enforces it, and its answers.

Operators flip accounts of their own with the fence, over the gating service's socket; service, operators and load share
the load's core, the worker has its own. So the service is the first to be short of CPU: how many flips it did is told
beside how many were asked for, and is where the point stands on the axis.
"""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from loadtest.bench.cpu import cpu_seconds
from loadtest.bench.growth.contenders import OURS, Grown
from loadtest.bench.growth.gauge import Gauge, Point
from loadtest.bench.growth.hits import CONNECTIONS, KEYS, PACE
from loadtest.bench.growth.lives import Run, live
from loadtest.bench.growth.loads import Steady
from loadtest.bench.growth.sample import Sample, with_more
from loadtest.bench.stats import percentile
from loadtest.heads import HEADS, heads
from loadtest.peers.local_http import LocalHttp, LocalHttpFailed
from loadtest.peers.pixelgate import Accounts
from loadtest.peers.server import Place, Running, ServerFailed

RATES: Final = (0, 10, 100, 300, 1_000)
OPERATORS_MAX: Final = 32
"""As in the lifecycle's benchmark: more at a time share no more commits."""
FLIPS_OF_ONE: Final = 20.0
"""What one operator is given to do a second, for as long as there are operators left."""
COMMANDS: Final = ("pause", "resume")
DONE: Final = "flips/s done"
ENFORCED: Final = "enforced p99, ms"


@dataclass(slots=True)
class Done:
    """What operators have done. moments: when each flip was answered, on the monotonic clock."""

    moments: list[float] = field(default_factory=list)
    enforced_ms: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


class Operators:
    """A crowd that flips at a pace together, between `__enter__` and `__exit__`."""

    def __init__(self, socket: Path, flips_per_second: float, seed: int) -> None:
        self._socket, self._rate, self._seed = socket, flips_per_second, seed
        self._count = min(OPERATORS_MAX, max(1, round(flips_per_second / FLIPS_OF_ONE)))
        self._stop, self._threads = threading.Event(), list[threading.Thread]()
        self.done = Done()

    def __enter__(self) -> "Operators":
        if self._rate:
            self._threads = [threading.Thread(target=self._flip, args=(n,)) for n in range(self._count)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _flip(self, number: int) -> None:
        """The next flip at its own moment; one that comes too late comes at once."""
        gap = self._count / self._rate
        due, at = time.monotonic() + gap * Random(f"{self._seed} {number}").random(), 0
        try:
            with LocalHttp(self._socket) as http:
                while not self._stop.wait(max(0.0, due - time.monotonic())):
                    target = f"/api/v1/accounts/{account(number)}/commands/{COMMANDS[at % 2]}"
                    answer = http.post(target, {"role": "operator", "wait": True})
                    self.done.moments.append(time.monotonic())
                    if answer.get("enforced") is True:
                        self.done.enforced_ms.append(float(answer["enforced_ms"]))
                    else:
                        self.done.faults.append(f"a flip was not enforced: {answer}")
                    due, at = due + gap, at + 1
        except (LocalHttpFailed, OSError, KeyError) as error:
            self.done.faults.append(f"an operator: {error}")


def account(number: int) -> str:
    """The account of an operator."""
    return f"shop-{number}"


def create_accounts(socket: Path) -> None:
    """One for each operator there may be. Raises ServerFailed."""
    try:
        with LocalHttp(socket) as http:
            for number in range(OPERATORS_MAX):
                http.post("/api/v1/accounts", {"id": account(number), "rulebook": "default", "wait": False})
    except (LocalHttpFailed, OSError) as error:
        raise ServerFailed(f"accounts cannot be made: {error}") from error


def gating_socket(folder: Path) -> Path:
    """Where the service listens, in the folder of a life."""
    return folder / "data" / "gating.sock"


class Flipped(Grown):
    """Pixelgate whose operators have accounts."""

    def start(self, place: Place) -> Running:
        """Raises ServerFailed."""
        running = super().start(place)
        create_accounts(gating_socket(place.folder))
        return running


class FlippingGauge(Gauge):
    """Measures a point while operators flip at the pace that its x tells."""

    def measure(self, name: str, point: Point, number: int) -> Sample:
        """As `Gauge`, with what the operators did."""
        gating = self.running.beside[0].pid
        with Operators(gating_socket(self.folder), point.x, number) as operators:
            began, used = time.monotonic(), cpu_seconds(gating)
            sample = Gauge.measure(self, name, point, number)
            seconds, used = time.monotonic() - began, cpu_seconds(gating) - used
        done = operators.done
        flips = sum(began <= moment < began + seconds for moment in done.moments)
        more = {DONE: flips / seconds, "gating, cores": used / seconds}
        if done.enforced_ms:
            more[ENFORCED] = percentile(done.enforced_ms, 99)
        return with_more(sample, more, done.faults[:3])


def flips(run: Run, ledgers: Path) -> Iterator[Sample]:
    """0 flips a second to 1,000."""
    server = Flipped(Accounts(KEYS, ledgers), name=OURS)
    server.prepare(run.work, run.cores)
    written = heads(run.seed, HEADS, server.keys)
    points = [Point(rate, Steady(CONNECTIONS, PACE), written) for rate in RATES]
    for number in run.numbers():
        yield from live(server, Random(f"{run.seed} {number}").sample(points, len(points)), run, number, FlippingGauge)
