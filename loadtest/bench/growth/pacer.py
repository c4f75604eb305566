"""The steady load: `python -m loadtest.bench.growth.pacer PORT HEADS --connections N --pace P --settle S --seconds T`.

Hits come at moments drawn beforehand (exponential gaps from one seed), whatever the server does; each goes out on the
connection that has rested longest. So N connections at one pace differ in nothing but N, where wrk's own delays would
have the pace fall with the answers and cost it a walk over all its timers a hit. A hit that finds every connection
waiting goes out with the first answer, and its time counts from when it was due.

Every connection fires once as soon as it stands, then the pace begins, and after S seconds the window: it prints
`{"began": clock}` then and one line of figures T seconds later. Answers are told apart by their size alone, all being
as long as the first; the caller probes what an answer is.
"""

import argparse
import gc
import json
import re
import select
import socket
import sys
import time
from collections import deque
from pathlib import Path
from random import Random
from typing import Any, Final

from loadtest.bench.stats import percentile

ANSWER_SECONDS: Final = 10.0
"""An answer that takes longer is an error, and ends the run."""
_whole_heads = re.compile(rb".*?\r\n\r\n", re.DOTALL).findall


class PacerFailed(Exception):
    """The server closed a connection or did not answer in time."""


class Pacer:
    """The connections and what they have seen. answered, sent: since the start, first hits included."""

    def __init__(self, port: int, heads: list[bytes], connections: int, seed: int) -> None:
        self._heads, self._at, self._random = heads, 0, Random(seed)
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._resting: deque[int] = deque()
        self._due: dict[int, float] = {}  # of those that wait for an answer: when their hit was due
        self._got: dict[int, int] = {}
        self.answered = self.sent = self.answer_bytes = 0
        self.waits: list[float] = []
        for _ in range(connections):
            one = socket.create_connection(("127.0.0.1", port), ANSWER_SECONDS)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            one.sendall(self._next_head())
            self.sent += 1
            self.answer_bytes = self.answer_bytes or _answer_bytes(one)
            self._sockets[one.fileno()] = one
            if self.answered:
                self._due[one.fileno()], self._got[one.fileno()] = time.monotonic(), 0
            else:
                self.answered = 1
                self._resting.append(one.fileno())
            one.setblocking(False)
            self._poll.register(one.fileno(), select.EPOLLIN)
        self._await_all()

    def _next_head(self) -> bytes:
        self._at = (self._at + 1) % len(self._heads)
        return self._heads[self._at]

    def _await_all(self) -> None:
        until = time.monotonic() + ANSWER_SECONDS
        while self._due:
            self._read(0.1)
            if time.monotonic() > until:
                raise PacerFailed(f"{len(self._due)} of {len(self._sockets)} connections got no first answer")
        self.waits.clear()

    def run(self, pace: float, seconds: float) -> None:
        """Fire for so long, then wait for what is open. Raises PacerFailed, OSError."""
        gap, end = self._random.expovariate, time.monotonic() + seconds
        due = time.monotonic() + gap(pace)
        while due < end:
            now = time.monotonic()
            while due <= now and self._resting:
                self._send(self._resting.popleft(), due)
                due += gap(pace)
            if now - due > ANSWER_SECONDS:
                raise PacerFailed(f"a hit has been due for {now - due:.1f} s: nobody answers at {pace:g}/s")
            self._read(max(0.0, due - time.monotonic()) if self._resting else ANSWER_SECONDS)

    def _send(self, number: int, due: float) -> None:
        head = self._next_head()
        if self._sockets[number].send(head) != len(head):
            raise PacerFailed("a head did not fit into the socket's buffer")
        self._due[number], self._got[number] = due, 0
        self.sent += 1

    def _read(self, seconds: float) -> None:
        select.select([self._poll.fileno()], [], [], seconds)  # to the microsecond, where epoll's own is to the ms
        for number, _ in self._poll.poll(0):
            got = len(self._sockets[number].recv(65536))
            if not got:
                raise PacerFailed("the server closed a connection")
            self._got[number] += got
            if self._got[number] > self.answer_bytes:
                raise PacerFailed(f"an answer of {self._got[number]} bytes, where the first had {self.answer_bytes}")
            if self._got[number] == self.answer_bytes:
                self.waits.append(time.monotonic() - self._due.pop(number))
                self._resting.append(number)
                self.answered += 1


def _answer_bytes(one: socket.socket) -> int:
    """Read the first answer whole; its length is that of all."""
    answer = b""
    while True:
        chunk = one.recv(65536)
        if not chunk:
            raise PacerFailed("the server closed the first connection")
        answer += chunk
        head, found, body = answer.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        if found and length and len(body) >= int(length[1]):
            return len(answer)


def options(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Hits at a steady pace.")
    add = parser.add_argument
    add("port", type=int)
    add("heads", type=Path)
    add("--connections", type=int, required=True)
    add("--pace", type=float, required=True, help="hits a second")
    add("--settle", type=float, required=True, help="seconds of the same pace before the window")
    add("--seconds", type=float, required=True, help="length of the window")
    add("--seed", type=int, default=1, help="of the moments (1)")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Fire; print when the window begins and what it held."""
    chosen = options(arguments)
    gc.disable()  # a collection in the midst would be seen as the server's delay
    try:
        pacer = Pacer(chosen.port, _whole_heads(chosen.heads.read_bytes()), chosen.connections, chosen.seed)
        pacer.run(chosen.pace, chosen.settle)
        before = pacer.answered
        pacer.waits.clear()
        _say({"began": time.monotonic()})
        pacer.run(chosen.pace, chosen.seconds)
        waits, hits = pacer.waits, pacer.answered - before
        p50, p99 = (round(percentile(waits, percent) * 1e6) for percent in (50, 99))
        _say({"hits": hits, "answered": pacer.answered, "sent": pacer.sent, "p50_us": p50, "p99_us": p99})
    except (PacerFailed, OSError, ValueError) as error:
        _say({"failed": str(error)})
        return 1
    return 0


def _say(document: dict[str, Any]) -> None:
    print(json.dumps(document), flush=True)


if __name__ == "__main__":
    sys.exit(main())
