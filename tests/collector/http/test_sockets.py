"""The same over real sockets: uvicorn's server, uvloop, a journal on disk."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn
import uvloop

from collector.app import CollectorApp
from collector.group import Group, SyncedGroup
from collector.journal import Durability, Journal
from collector.metrics import Counters
from collector.outcome import Outcome
from collector.protocol import protocol_class
from collector.wheel import Wheel
from gating.status import Verdict
from tests.collector.http.test_group import gate_of
from tests.collector.http.wire import pixel
from tests.eventually import eventually


class Served:
    """A worker's server in a thread of its own, on a free port."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.counters = Counters()
        self.fatal: list[BaseException] = []
        self.server: uvicorn.Server
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.thread = threading.Thread(target=lambda: uvloop.run(self._serve()))

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        made = SyncedGroup if self.journal.durability is Durability.DISK else Group
        gate = gate_of(wk_accept=Verdict.ACCEPT, wk_drop=Verdict.DROP)
        group = made(gate, self.journal, self.counters.outcomes, loop, self.fatal.append)
        wheel = Wheel(loop)
        wheel.start()
        front = protocol_class(group=group, counters=self.counters, wheel=wheel)
        app = CollectorApp(group, self.counters, list)
        config = uvicorn.Config(app, http=front, ws="none", lifespan="off", log_config=None, access_log=False)
        self.server = uvicorn.Server(config)
        await self.server.serve([self.listener])
        wheel.stop()

    @contextlib.contextmanager
    def running(self) -> Iterator["Served"]:
        self.thread.start()
        eventually(lambda: getattr(getattr(self, "server", None), "started", False))
        try:
            yield self
        finally:
            self.stop()

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(timeout=20)
        assert not self.thread.is_alive()

    def connect(self) -> socket.socket:
        connection = socket.create_connection(self.listener.getsockname(), timeout=20)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection


@pytest.fixture(params=list(Durability))
def served(request, tmp_path) -> Iterator[Served]:
    journal = Journal.create(tmp_path, request.param, segment_bytes=40 * 1024**2)
    with Served(journal).running() as served:
        yield served
    journal.close()


def read_all(connection: socket.socket) -> bytes:
    pieces = []
    while piece := connection.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def read_answers(connection: socket.socket, count: int) -> bytes:
    received = b""
    while received.count(b"HTTP/1.1 ") < count or not received.endswith(b";"):
        piece = connection.recv(65536)
        assert piece, received
        received += piece
    return received


def test_every_answered_hit_is_in_the_journal_and_counted(served):
    """I1, I4."""
    connections = [served.connect() for _ in range(20)]
    for round_ in range(10):
        for connection in connections:
            connection.sendall(pixel(b"/p/wk_accept.gif?n=%d" % round_))
        for connection in connections:
            assert read_answers(connection, 1).count(b"HTTP/1.1 200 OK") == 1
    assert served.journal.next_sequence - 1 == served.counters.hits == 200
    for connection in connections:
        connection.close()


def test_a_half_closed_connection_gets_its_answers_then_the_end(served):
    with served.connect() as connection:
        connection.sendall(pixel() + pixel(b"/p/wk_drop.gif"))
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection).count(b"HTTP/1.1 200 OK") == 2


def test_a_refusal_reaches_a_client_that_is_still_sending(served):
    """Closing upon unread input makes the kernel send a reset, which destroys the answer on its way."""
    with served.connect() as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(b"GET /p.gif HTTP/1.1\r\nX: " + b"y" * 3_000_000)
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("served", [Durability.PROCESS], indirect=True)
def test_a_client_that_stops_reading_is_read_no_more_and_gets_all_once_it_reads(served):
    """I3: nothing unbounded waits for a client."""
    served.listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 * 1024)  # what it accepts inherits it
    with served.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * 1024)
        requests_count = 4000
        writer = threading.Thread(target=connection.sendall, args=(pixel() * requests_count,))
        writer.start()
        (protocol,) = eventually(lambda: tuple(served.server.server_state.connections))
        eventually(lambda: protocol._is_write_paused)
        assert protocol.transport.get_write_buffer_size() < 256 * 1024
        assert served.counters.hits < requests_count
        received = b""
        while received.count(b"GIF89a") < requests_count:
            received += connection.recv(1 << 20)
        writer.join()
    assert served.counters.outcomes[Outcome.ACCEPTED] == served.journal.next_sequence - 1 == requests_count


def test_a_stop_answers_what_was_read_and_frees_the_port(tmp_path):
    journal = Journal.create(tmp_path, Durability.PROCESS, segment_bytes=40 * 1024**2)
    with Served(journal).running() as served:
        idle, asking = served.connect(), served.connect()
        asking.sendall(pixel())
        read_answers(asking, 1)
        served.server.should_exit = True
        assert read_all(idle) == b""
        assert read_all(asking) == b""
        idle.close()
        asking.close()
    address = served.listener.getsockname() if served.listener.fileno() >= 0 else None
    assert address is None
    assert journal.next_sequence - 1 == 1
    journal.close()
