"""Flip storm: operators flip accounts without rest while browsers fire at them, and each hit carries the last flip.

An account belongs to one operator, and to the visitors of the operator's own process.
"""

from collections.abc import Iterator
from random import Random
from typing import Final

import gevent
from locust import User, task
from locust.exception import StopUser

from loadtest.reckoning.flips import UNKNOWN, Flip, Sent
from loadtest.reckoning.tally import TimedFlip
from loadtest.shapes.admin import Admin, AdminFailed
from loadtest.shapes.load import Flipped, Load, load_of, now
from loadtest.shapes.patience import Patient
from loadtest.shapes.visitors import Browser
from loadtest.traffic.session import Hit

REST_SECONDS_MAX: Final = 0.2
"""Between two flips of one account, drawn evenly: an operator's script, not a tight loop."""
IDLE_SECONDS: Final = 0.5
COMMANDS: Final = {"ACTIVE": ("pause", "suspend"), "PAUSED": ("resume", "suspend"), "SUSPENDED": ("unsuspend",)}
"""What the rulebook `default` allows an operator in each status."""


class Operator(Patient, User):
    """Flips one account, each time behind the fence, and tells how long that took by locust's events."""

    load: Load
    random: Random
    account: Flipped
    admin: Admin

    def on_start(self) -> None:
        """Take an account that nobody flips. Raises StopUser where there is none left in this process."""
        self.load = load_of(self.environment)
        self.random = self.load.random()
        if not self.load.free:
            raise StopUser
        self.account = self.load.free.pop()
        part = self.load.part
        self.admin = Admin(part.admin, part.token, part.data)

    @task
    def flip(self) -> None:
        """Give a command that the status allows, and note its place among the hits."""
        if not self.go_on_after(self.random.uniform(0, REST_SECONDS_MAX)):
            return
        account = self.account
        command = self.random.choice(COMMANDS[account.status])
        account.asked += 1
        began = now()
        try:
            told = self.admin.command(account.record.account, command)
            if told.get("enforced") is not True:
                raise AdminFailed(f"{command}: answered before every worker enforces it: {told}")
        except AdminFailed as error:
            self._failed(command, now() - began, error)
            return
        seen_ms = (now() - began) * 1e3
        account.record.flips.append(Flip(str(told["verdict"]), int(told["version"])))
        account.returned = account.asked
        account.status = str(told["to"])
        enforced_ms = told.get("enforced_ms")
        fire = self.environment.events.request.fire
        fire(request_type="FLIP", name=f"{command}: asked to answered", response_time=seen_ms, response_length=0)
        if enforced_ms is not None:
            fire(
                request_type="FLIP", name=f"{command}: commit to enforced", response_time=enforced_ms, response_length=0
            )
        self.environment.events.flip.fire(
            account=account.record.account, command=command, verdict=str(told["verdict"]), seen_ms=seen_ms,
            enforced_ms=enforced_ms,
        )  # fmt: skip

    def _failed(self, command: str, seconds: float, error: AdminFailed) -> None:
        """Whether it was made is not known: hits from here on are not judged until a flip returns again."""
        self.account.record.flips.append(Flip(UNKNOWN, 0))
        self.load.tally.flips_failed += 1
        self.environment.events.request.fire(
            request_type="FLIP", name=f"{command}: asked to answered", response_time=seconds * 1e3, response_length=0,
            exception=error,
        )  # fmt: skip
        try:
            self.account.status = self.admin.status(self.account.record.account)
        except AdminFailed:
            gevent.sleep(IDLE_SECONDS)

    def on_stop(self) -> None:
        """Let the connection go."""
        if hasattr(self, "admin"):
            self.admin.close()


class StormVisitor(Browser):
    """Browsers of the flipped accounts' sites."""

    _hits: Iterator[Hit] = iter(())
    _account: Flipped | None = None

    @task
    def hit(self) -> None:
        """Fire the next hit with its mark, and note which flips it may have met."""
        if not self.load.flipped:
            gevent.sleep(IDLE_SECONDS)  # no operator's account in this process
            return
        if not self.is_due():
            return
        hit = next(self._hits, None)
        if hit is None or self._account is None:
            self.leave()
            self._account = self.random.choice(self.load.flipped)
            self._hits = self._account.traffic.session(self.random)
            hit = next(self._hits)
        account = self._account
        number, flip, mark = account.mark()
        answered = False
        try:
            answered = self.fire(hit, mark)
        finally:  # also where this user is killed in between
            account.record.hits.append(Sent(number, flip, account.asked if answered else None))


def note_flip(load: Load, at: float, event: dict[str, object]) -> None:
    """Keep a `flip` event for the page."""
    enforced = event["enforced_ms"]
    load.tally.flips.append(
        TimedFlip(
            at, str(event["account"]), str(event["command"]), str(event["verdict"]), float(str(event["seen_ms"])),
            None if enforced is None else float(str(enforced)),
        )
    )  # fmt: skip
