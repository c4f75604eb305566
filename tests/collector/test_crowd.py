"""A tick ends however many connections are busy: who comes new has its turn."""

import resource
import select
import socket
import time

import pytest

from loadtest.bench.idle import allow_files
from tests.processes import collector, free_port

HEAD = b"GET /p/nobody.gif HTTP/1.1\r\nHost: px.example.net\r\n\r\n"
CROWD = 1_500
"""More than libuv takes from one look at its sockets, 1,024."""
NEWCOMERS = 10
TURNS_MAX = 16_000
"""Answers to the crowd until a newcomer has its own: two ticks of TICK_PROMPT_HITS and the crowd once more each. A tick
that goes on while the crowd is busy takes 48 x 1,024."""
SECONDS_MAX = 60
ANSWER_BYTES_MAX = 65_536


@pytest.fixture
def port(tmp_path):
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    allow_files(CROWD)
    port = free_port()
    try:
        with collector(tmp_path / "data", tmp_path / "log", port):
            yield port
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, allowed)


class Crowd:
    """Connections that ask again as soon as they are answered."""

    def __init__(self, port: int) -> None:
        self.port, self.answered = port, 0
        self.poll = select.epoll()
        self.members: dict[int, socket.socket] = {}

    def __enter__(self) -> "Crowd":
        for _ in range(CROWD):
            member = self.ask()
            self.members[member.fileno()] = member
        return self

    def __exit__(self, *_: object) -> None:
        for member in self.members.values():
            member.close()
        self.poll.close()

    def ask(self) -> socket.socket:
        """A new connection with a hit on it."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        connection.sendall(HEAD)
        connection.setblocking(False)
        self.poll.register(connection, select.EPOLLIN)
        return connection

    def until(self, stranger: socket.socket | None, answers: int) -> None:
        """Go on until the stranger is answered, or the crowd has had so many answers."""
        deadline = time.monotonic() + SECONDS_MAX
        while self.answered < answers:
            assert time.monotonic() < deadline, f"{self.answered} answers in {SECONDS_MAX} s"
            for descriptor, _ in self.poll.poll(SECONDS_MAX, 256):
                member = self.members.get(descriptor)
                if member is None:
                    assert stranger is not None
                    assert stranger.recv(ANSWER_BYTES_MAX).startswith(b"HTTP/1.1 200 OK\r\n")
                    return
                assert member.recv(ANSWER_BYTES_MAX)
                self.answered += 1
                member.sendall(HEAD)


def test_a_new_connection_is_answered_while_more_are_busy_than_one_look_at_the_sockets_tells(port):
    with Crowd(port) as crowd:
        crowd.until(None, 4 * CROWD)
        for _ in range(NEWCOMERS):
            began = crowd.answered
            with crowd.ask() as newcomer:
                crowd.until(newcomer, began + TURNS_MAX)
                crowd.poll.unregister(newcomer)
            assert crowd.answered - began < TURNS_MAX
