"""Slow clients: phones in tunnels, and whoever holds connections open on purpose. Browsers beside them fare well."""

from collections.abc import Callable
from random import Random
from typing import Final, TypeAlias

import gevent
from locust import User, task

from loadtest.peers.wire import is_pixel
from loadtest.shapes.load import Load, load_of, now
from loadtest.shapes.patience import Patient
from loadtest.shapes.raw import Answer, Connection, NoAnswer

CHUNKS: Final = 8
DRIBBLE_SECONDS: Final = (1.0, 6.0)
"""A head has 10 s from its first byte to its last; these come in time."""
STALL_SECONDS: Final = 20.0
"""A head that stalls must be answered with 408 before: the limit, and a second of the clock that watches it."""
IDLE_SECONDS: Final = (1.0, 5.0)
REST_SECONDS: Final = (0.1, 1.0)
READ_BYTES: Final = 16
READ_REST_SECONDS: Final = 0.1
TIMED_OUT: Final = 408

Play: TypeAlias = Callable[[Connection, bytes], Answer | None]
"""Does something slow with a connection and a browser's head; returns the answer, or None where it waits for none."""


class SlowClient(Patient, User):
    """One connection at a time, in one of the ways to be slow."""

    load: Load
    random: Random

    def on_start(self) -> None:
        """Take random numbers of its own."""
        self.load = load_of(self.environment)
        self.random = self.load.random()

    @task(5)
    def dribble(self) -> None:
        """Send a head in small pieces over seconds: a hit, once its last byte is there."""

        def play(connection: Connection, head: bytes) -> Answer:
            rest = self.random.uniform(*DRIBBLE_SECONDS) / CHUNKS
            size = -(-len(head) // CHUNKS)
            for at in range(0, len(head), size):
                connection.send(head[at : at + size])
                gevent.sleep(rest if at + size < len(head) else 0)
            return connection.answer()

        self._play("dribbled head", play)

    @task(2)
    def read_slowly(self) -> None:
        """Take the answer a few bytes at a time."""

        def play(connection: Connection, head: bytes) -> Answer:
            connection.send(head)
            while (answer := connection.whole()) is None:
                gevent.sleep(READ_REST_SECONDS)
                if not connection.take(READ_BYTES):
                    raise NoAnswer("the connection ended within the answer")
            return answer

        self._play("answer read slowly", play)

    @task(2)
    def idle(self) -> None:
        """Open a connection, say nothing for a while, then fire."""

        def play(connection: Connection, head: bytes) -> Answer:
            gevent.sleep(self.random.uniform(*IDLE_SECONDS))
            connection.send(head)
            return connection.answer()

        self._play("connection idle first", play)

    @task(1)
    def stall(self) -> None:
        """Send half a head and no more: no hit, and 408 in time."""

        def play(connection: Connection, head: bytes) -> Answer:
            connection.send(head[: len(head) // 2])
            return connection.answer()

        self._play("stalled head", play, status=TIMED_OUT)

    @task(1)
    def give_up(self) -> None:
        """Send half a head and go: nobody is there to be answered."""

        def play(connection: Connection, head: bytes) -> None:
            connection.send(head[: len(head) // 2])

        self._play("gave up", play, status=0)

    def _play(self, name: str, play: Play, status: int = 200) -> None:
        """Play one way, count it, tell locust. status: what must come; 0 where nothing can."""
        if not self.go_on_after(self.random.uniform(*REST_SECONDS)):
            return
        tally = self.load.tally
        is_hit = status == 200
        tally.sent += is_hit
        tally.others += not is_hit
        head = next(self.load.traffic.session(self.random)).head()
        began, fault, length = now(), "", 0
        try:
            connection = Connection(self.host or "", STALL_SECONDS)
            try:
                answer = play(connection, head)
            finally:
                connection.close()
            if answer is not None:
                length = len(answer.body)
                tally.answered += is_hit
                if answer.status != status or (is_hit and not is_pixel(answer.body)):
                    fault = f"expected {status}{' and the GIF' * is_hit}, got {answer.status} with {length} bytes"
            tally.right += is_hit and not fault
        except NoAnswer as error:
            fault = str(error)
        if fault:
            tally.went_wrong(f"{name}: {fault}")
        self.environment.events.request.fire(
            request_type="SLOW", name=name, response_time=(now() - began) * 1e3, response_length=length,
            exception=NoAnswer(fault) if fault else None,
        )  # fmt: skip
