"""Bots and garbage: each request with the one answer that it must get; any other is a failure."""

from random import Random
from typing import Final

from locust import User, task

from loadtest.peers.wire import is_pixel
from loadtest.shapes.load import Load, load_of, now
from loadtest.shapes.patience import Patient
from loadtest.shapes.raw import Connection, NoAnswer
from loadtest.traffic.garbage import Probe, probe

ANSWER_SECONDS: Final = 15.0
REST_SECONDS: Final = (0.05, 0.25)


class Bot(Patient, User):
    """Comes without cookies or manners: one request, one connection."""

    load: Load
    random: Random

    def on_start(self) -> None:
        """Take random numbers of its own."""
        self.load = load_of(self.environment)
        self.random = self.load.random()

    @task
    def come(self) -> None:
        """Send one probe, and hold its answer against what was promised."""
        if not self.go_on_after(self.random.uniform(*REST_SECONDS)):
            return
        one = probe(self.random, self.load.key(self.random), self.load.part.host)
        tally = self.load.tally
        match one.counted:
            case "hit":
                tally.sent += 1
            case "malformed":
                tally.malformed += 1
            case "nothing":
                tally.others += 1
        began, fault, length, answered = now(), "", 0, False
        try:
            fault, length = ask(self.host or "", one)
            answered = True
        except NoAnswer as error:
            fault = str(error)
        if answered and one.counted == "hit":
            tally.answered += 1
            tally.right += not fault
        if fault:
            tally.went_wrong(f"{one.name}: {fault}")
        self.environment.events.request.fire(
            request_type="BOT", name=one.name, response_time=(now() - began) * 1e3, response_length=length,
            exception=NoAnswer(fault) if fault else None,
        )  # fmt: skip


def ask(host: str, one: Probe) -> tuple[str, int]:
    """Send a probe; returns what is wrong with the answer, or "", and the body's bytes. Raises NoAnswer."""
    connection = Connection(host, ANSWER_SECONDS)
    try:
        connection.send(one.request)
        answer = connection.answer(bodyless=one.request.startswith(b"HEAD "))
    finally:
        connection.close()
    if answer.status != one.status:
        return f"expected {one.status}, got {answer.status}", len(answer.body)
    if one.gif and not is_pixel(answer.body):
        return f"expected the GIF, got {len(answer.body)} bytes", len(answer.body)
    return "", len(answer.body)
