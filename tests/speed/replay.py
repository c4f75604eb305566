"""A worker's own code without its sockets: protocol, gate, group and a real journal, fed by a fixed sequence of heads.

    python -m tests.speed.replay HEADS_FILE [SCENARIO=TICKS]...

For counting instructions (counting.py), so what it does hangs on its arguments alone: no thread, no timer, no network.
Every scenario runs for a few ticks, the named ones for more: what two runs differ by is those ticks' alone. Sixteen
hits a tick, as a worker has under load. `yardstick` is no part of ours: a fixed piece of Python, by which interpreters
differ.
"""

import gc
import re
import struct
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path

from uvicorn.config import Config
from uvicorn.server import ServerState

from collector.addresses import Addresses, IpPolicy
from collector.gate import Gate, boot_ns
from collector.group import Group
from collector.journal import Journal, show
from collector.metrics import Counters
from collector.protocol import PixelProtocol, protocol_class
from collector.publisher.messages import Refinery
from collector.wheel import Wheel
from gating.feed import KeyState, StatusChange
from gating.status import Status, Verdict

TICK_HITS = 16
WARM_TICKS = 32  # 512 hits: each head once
FULL_TICKS = 160  # 2,560 hits: more heads than a worker remembers (plain.KNOWN_MAX)
CYCLED = 512
KEYS = tuple(f"K3vTq8ZrW2mXb6NcL9dYp{number}" for number in range(10))
DROPPED_KEY = "D7nQs5BxM1cVz9RkH4gJw2"
SEGMENT_BYTES = 8 * 1024**2  # one segment for everything; `show` looks through all of it


class Loop:
    """A loop that runs what its tick scheduled when it is told to."""

    def __init__(self) -> None:
        self.scheduled: list[Callable[[], None]] = []

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.scheduled.append(callback)

    def end_tick(self) -> None:
        scheduled, self.scheduled = self.scheduled, []
        for callback in scheduled:
            callback()


class Transport:
    """Takes answers and does nothing with them; `written` counts them."""

    def __init__(self) -> None:
        self.written = 0

    def write(self, _answer: bytes) -> None:
        self.written += 1

    def get_extra_info(self, _name: str) -> tuple[str, int]:
        return "203.0.113.7", 40_000

    def is_closing(self) -> bool:
        return False


class Worker:
    """Everything on a hit's way but the server around it."""

    def __init__(self, folder: Path) -> None:
        self.loop, self.state, self.counters = Loop(), ServerState(), Counters()
        self.journal = Journal.create(folder, segment_bytes=SEGMENT_BYTES)
        self._config = Config(app=None)
        group = Group(_gate(), self.journal, self.counters.outcomes, self.loop, _raise)
        self._front = protocol_class(group=group, counters=self.counters, wheel=Wheel(self.loop))

    def connect(self) -> tuple[PixelProtocol, Transport]:
        protocol, transport = self._front(self._config, self.state, {}), Transport()
        protocol.connection_made(transport)
        return protocol, transport


def _raise(error: BaseException) -> None:
    raise error


def _gate() -> Gate:
    gate = Gate(boot_ns)
    for version, key in enumerate((*KEYS, DROPPED_KEY), 1):
        verdict = Verdict.DROP if key == DROPPED_KEY else Verdict.ACCEPT
        states = (KeyState(key),)
        gate.apply(StatusChange(version, f"account-{version}", 1, Status.ACTIVE, verdict, None, None, False, states))
    gate.stand(len(KEYS) + 1)
    gate.lease(boot_ns() + 10**15)
    return gate


def kept_alive(folder: Path, heads: Iterator[bytes], ticks: int) -> int:
    """The same sixteen connections throughout."""
    worker = Worker(folder)
    made = [worker.connect() for _ in range(TICK_HITS)]
    for _ in range(ticks):
        for (protocol, _), head in zip(made, heads, strict=False):
            protocol.data_received(head)
        worker.loop.end_tick()
    return sum(transport.written for _, transport in made)


def new_connections(folder: Path, heads: Iterator[bytes], ticks: int) -> int:
    """A connection for each hit, which its client closes."""
    worker, written = Worker(folder), 0
    for _ in range(ticks):
        made = []
        for head in islice(heads, TICK_HITS):
            protocol, transport = worker.connect()
            protocol.data_received(head)
            made.append((protocol, transport))
        worker.loop.end_tick()
        for protocol, transport in made:
            protocol.connection_lost(None)
            written += transport.written
    return written


def published(folder: Path, heads: Iterator[bytes], ticks: int) -> int:
    """Journalled records made messages, as the publisher's inner loop does."""
    worker = Worker(folder)
    protocol, _ = worker.connect()
    for head in islice(heads, CYCLED):
        protocol.data_received(head)
        worker.loop.end_tick()
    records = list(show(folder / worker.journal.id))
    refinery = Refinery(Addresses(IpPolicy.TRUNCATE, []))
    made = 0
    for _ in range(ticks * TICK_HITS // CYCLED):  # in shares of hundreds, as a publisher under load takes them
        messages = refinery.share(records, worker.journal.id)
        made += len(messages.events) + len(messages.hidden)
    return made


def yardstick(_folder: Path, heads: Iterator[bytes], ticks: int) -> int:
    """What any server in Python does to a hit, in this interpreter: an expression, two look-ups, a pack, a join."""
    line = re.compile(rb"(?:GET|POST|HEAD) /p/([A-Za-z0-9_-]{1,128})\.gif(?:\?[^ ]{0,4096})? ").match
    keys = {key.encode(): key.encode() for key in KEYS}
    pack, done = struct.Struct("<QIIBB").pack, 0
    for _ in range(ticks):
        parts: list[bytes] = []
        for head in islice(heads, TICK_HITS):
            found = line(head)
            if found is None or found[1] not in keys:
                raise ValueError(f"no hit of ours: {head[:80]!r}")
            parts += (pack(done, len(head), 0, 0, 0), keys[found[1]], head)
            done += 1
        zlib.crc32(b"".join(parts))
    return done


def scenarios(heads: list[bytes]) -> dict[str, tuple[Callable[[Path, Iterator[bytes], int], int], Iterator[bytes]]]:
    """Each scenario and the heads it is fed."""
    dropped = [head.replace(key, DROPPED_KEY.encode()) for head in heads[:CYCLED] for key in [_key_of(head)]]
    return {
        "keep-alive": (kept_alive, cycle(heads[:CYCLED])),
        "many-browsers": (kept_alive, cycle(heads)),
        "dropped": (kept_alive, cycle(dropped)),
        "new-connection": (new_connections, cycle(heads[:CYCLED])),
        "published": (published, cycle(heads[:CYCLED])),
        "yardstick": (yardstick, cycle(heads[:CYCLED])),
    }


def _key_of(head: bytes) -> bytes:
    return head.partition(b"/p/")[2].partition(b".gif")[0]


def main(arguments: list[str]) -> None:
    """Replay every scenario; fails where one answered (or made) another number of hits than it was fed."""
    heads = [part + b"\r\n\r\n" for part in Path(arguments[0]).read_bytes().split(b"\r\n\r\n")[:-1]]
    more = {name: int(ticks) for name, _, ticks in (argument.partition("=") for argument in arguments[1:])}
    gc.collect()
    gc.freeze()  # as a worker does once it is made
    for name, (replay, fed) in scenarios(heads).items():
        ticks = (FULL_TICKS if name == "many-browsers" else WARM_TICKS) + more.pop(name, 0)
        with tempfile.TemporaryDirectory() as folder:
            done = replay(Path(folder), fed, ticks)
        if done != ticks * TICK_HITS:
            raise SystemExit(f"{name}: {done} hits done of {ticks * TICK_HITS}")
    if more:
        raise SystemExit(f"no such scenario: {', '.join(more)}")


if __name__ == "__main__":
    main(sys.argv[1:])
