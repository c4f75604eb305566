"""One collector without a network: fake transports, a journal in memory, the real gate, group, app and protocols."""

import asyncio
import logging
from dataclasses import dataclass, field

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from collector.app import CollectorApp
from collector.errors import JournalFull
from collector.gate import Gate, boot_ns
from collector.group import Group
from collector.hit import key_of, parse_head
from collector.journal.format import FRAME_HEADER, Record, decode_frame, decode_frame_header, encode_frame
from collector.limits import Limits
from collector.metrics import Counters
from collector.protocol import PixelProtocol, protocol_class
from collector.wheel import Wheel
from gating.feed import KeyState, StatusChange
from gating.status import Status, Verdict

KEYS = {b"wk_accept": Verdict.ACCEPT, b"wk_hide": Verdict.HIDE, b"wk_drop": Verdict.DROP}
logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # stock warns of every odd request
QUIET_STEPS = 12  # loop iterations without a task left after which nothing more can happen by itself


class MemoryJournal:
    """Keeps what was appended; `fails` is raised instead."""

    def __init__(self) -> None:
        self.frames: list[list[Record]] = []
        self.fails: Exception | None = None
        self.room = True
        self._next = 1

    def append(self, received_at_us: int, parts: list[bytes], hits: int) -> int:
        if self.fails is not None:
            raise self.fails
        frame = encode_frame(0, self._next, received_at_us, hits, parts)
        header = decode_frame_header(0, frame)
        assert header is not None
        self.frames.append(decode_frame(header, frame[FRAME_HEADER.size :]))
        self._next += hits
        return self._next - hits

    def sync(self) -> None:
        if self.fails is not None:
            raise self.fails

    def fill_up(self) -> None:
        self.fails = JournalFull("no room")
        self.room = False

    @property
    def records(self) -> list[Record]:
        return [record for frame in self.frames for record in frame]


class WireTransport(asyncio.Transport):
    """What a client sees of its connection: `received`, and whether it was closed, and how."""

    def __init__(self, loop: asyncio.AbstractEventLoop, peer: str) -> None:
        super().__init__({"peername": (peer, 40_000), "sockname": ("192.0.2.1", 80)})
        self.loop = loop
        self.received = bytearray()
        self.protocol: asyncio.Protocol | None = None
        self.is_closed = self.has_sent_eof = self.is_paused = False

    def write(self, data) -> None:
        if not self.is_closed and not self.has_sent_eof:
            self.received += data

    def close(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            self.loop.call_soon(self.protocol.connection_lost, None)

    def abort(self) -> None:
        self.close()

    def is_closing(self) -> bool:
        return self.is_closed

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.has_sent_eof = True

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    @property
    def has_ended(self) -> bool:
        return self.is_closed or self.has_sent_eof


@dataclass
class Client:
    """One connection. A chunk that the server does not read yet waits, as in a socket's buffer."""

    wire: "Wire"
    transport: WireTransport
    protocol: asyncio.Protocol
    waiting: list[bytes] = field(default_factory=list)

    def send(self, *chunks: bytes) -> None:
        self.waiting += [chunk for chunk in chunks if chunk]
        self.flush()

    def flush(self) -> bool:
        """Hand over what the server reads now; True if anything went."""
        before = len(self.waiting)
        while self.waiting and not self.transport.is_paused and not self.transport.is_closed:
            self.protocol.data_received(self.waiting.pop(0))
        return len(self.waiting) < before

    def end(self) -> None:
        """Half-close."""
        if not self.transport.is_closed and not self.protocol.eof_received():
            self.transport.close()

    @property
    def received(self) -> bytes:
        return bytes(self.transport.received)


class Wire:
    """A worker with one of two front ends: ours, or uvicorn's alone. Made inside a running loop."""

    def __init__(self, front: str = "ours", limits: Limits | None = None, group_class: type[Group] = Group) -> None:
        self.loop = asyncio.get_running_loop()
        self.fatal: list[BaseException] = []
        self.gate = Gate()
        for version, (key, verdict) in enumerate(KEYS.items(), 1):
            keys = (KeyState(key.decode()),)
            account = f"account-{verdict.name}"
            self.gate.apply(StatusChange(version, account, 1, Status.ACTIVE, verdict, None, None, False, keys))
        self.gate.stand(len(KEYS))
        self.gate.lease(boot_ns() + 3600 * 10**9)
        self.journal = MemoryJournal()
        self.counters = Counters()
        self.wheel = Wheel(self.loop)
        self.not_ready: list[str] = []
        self.group = group_class(self.gate, self.journal, self.counters.outcomes, self.loop, self.fatal.append)
        self.app = CollectorApp(self.group, self.counters, lambda: self.not_ready)
        self.config = Config(self.app, ws="none", lifespan="off", access_log=False, log_config=None)
        self.config.load()
        self.state = ServerState()
        self.clients: list[Client] = []
        ours = protocol_class(group=self.group, counters=self.counters, wheel=self.wheel, limits=limits)
        self.front: type[asyncio.Protocol] = ours if front == "ours" else HttpToolsProtocol

    def connect(self, peer: str = "203.0.113.7") -> Client:
        transport = WireTransport(self.loop, peer)
        transport.protocol = self.front(config=self.config, server_state=self.state, app_state={}, _loop=self.loop)
        transport.protocol.connection_made(transport)
        client = Client(self, transport, transport.protocol)
        self.clients.append(client)
        return client

    async def quiet(self) -> None:
        """Return once nothing more happens without new input."""
        steps = 0
        while steps < QUIET_STEPS:
            received_bytes = sum(len(client.transport.received) for client in self.clients)
            busy = await self.quiet_step()
            busy = busy or received_bytes < sum(len(client.transport.received) for client in self.clients)
            steps = 0 if busy else steps + 1

    async def quiet_step(self) -> bool:
        """One iteration of the loop; True if a waiting chunk went to the server."""
        await asyncio.sleep(0)
        flushed = [client.flush() for client in self.clients]
        return any(flushed)

    async def ask(self, request: bytes, peer: str = "203.0.113.7") -> bytes:
        """Everything the server answers to these bytes on a connection of their own."""
        client = self.connect(peer)
        client.send(request)
        await self.quiet()
        return client.received

    def turn(self, seconds: int) -> None:
        for _ in range(seconds):
            self.wheel.advance()

    def close(self) -> None:
        """Cut every connection and cancel what waits on it, so that no test leaves a task behind."""
        for client in self.clients:
            client.transport.close()
        for task in self.state.tasks:
            task.cancel()

    def kept_of(self, peer: str) -> list[tuple[bytes, bytes | None, bytes, str, bytes | None]]:
        """(method, key, query, verdict, body) of what was journalled for one peer, in order."""
        found = []
        for record in self.journal.records:
            if record.peer == peer:
                head = parse_head(record.head)
                key = key_of(head.path, head.query)
                found.append((head.method, key, head.query, record.verdict.name, record.body))
        return found


def is_free(client: Client) -> bool:
    """Whether the client's next chunk may take the fast path."""
    assert isinstance(client.protocol, PixelProtocol)
    return client.protocol._stage == 0


def pixel(target: bytes = b"/p/wk_accept.gif", method: bytes = b"GET", *headers: bytes, host: bool = True) -> bytes:
    lines = [b"%b %b HTTP/1.1" % (method, target), *([b"Host: c.example"] if host else []), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"
