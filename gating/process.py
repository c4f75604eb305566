"""The gating process: one ledger, one leader, the deadlines' sweeper, and the two doors to them.

`python -m gating` runs it; the command line makes the same `Leading` for one command where none runs. The caller holds
the role `gating` on the data directory, so there is one leader a host.
"""

import asyncio
import contextlib
import logging
import secrets
import socket
from types import TracebackType
from typing import Final, Self

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from gating.admin import make_admin
from gating.api import make_api
from gating.clock import Clock, boot_ns
from gating.config import GatingSettings
from gating.datadir import DataDirectory
from gating.errors import PixelgateError
from gating.ledger import CHANGE, Ledger, Term, ledger_url
from gating.local_lead import LocalLead
from gating.service import Service
from gating.serving import Server, serve_until, stop_event, tcp_listener, unix_listener

TERM_NS: Final = 10_000_000_000
TERM_RENEW_SECONDS: Final = 2.0
"""A term outlives four renewals that fail; each is one commit, about a millisecond."""
SWEEP_SECONDS: Final = 0.5
"""How late a deadline is made durable; the gates enforced it at its moment."""

_log = logging.getLogger("pixelgate.gating")


class Leading:
    """A ledger that is led: the service and its API, for as long as the block runs. Needs a running loop."""

    def __init__(self, directory: DataDirectory, database_url: str | None = None) -> None:
        self._directory = directory
        self._url = ledger_url(directory, database_url)
        self._closing = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as opening:
            self.ledger = opening.enter_context(contextlib.closing(Ledger.open(self._url)))
            # The role makes this process the only holder: a term that a dead one left running is taken over.
            self._term = self._take_term()
            head = self.ledger.head()
            clock = Clock()
            self.lead = opening.enter_context(
                LocalLead(
                    self._directory.feed,
                    epoch=head.epoch,
                    head=head.version,
                    clock=clock,
                    may_grant=lambda: boot_ns() < self._term.until_boot_ns,
                )
            )
            self.service = opening.enter_context(contextlib.closing(Service(self.ledger, self.lead, clock)))
            self.api: FastAPI = make_api(self.service)
            self._closing = opening.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()

    def _take_term(self) -> Term:
        term = self.ledger.take_term("local", boot_ns(), TERM_NS, _boot_id())
        if term is None:
            raise RuntimeError("another gating service leads this ledger, though this one holds the role")
        return term

    def renew(self) -> None:
        """Move the term's end on; takes a new one where somebody else's began. Called from the renewing task alone."""
        until_ns = boot_ns() + TERM_NS
        if self.ledger.renew_term(self._term.number, until_ns):
            self._term = Term(self._term.number, self._term.holder, until_ns)
        else:
            self._term = self._take_term()

    def note_delivered(self) -> None:
        """Forget the changes that are announced: here they go by datagram, and whoever missed one reads the ledger."""
        owed = self.ledger.outbox(kind=CHANGE, limit=1000)
        announced = [row.id for row in owed if row.version <= self.lead.head]
        if announced:
            self.ledger.delivered(CHANGE, announced[-1])


async def run(settings: GatingSettings) -> None:
    """Serve until SIGTERM or SIGINT."""
    directory = DataDirectory.open(settings.data)
    with directory.claim("gating"), Leading(directory, settings.database_url) as leading:
        doors = [_door(leading.api, unix_listener(directory.gating_socket))]
        if settings.admin_port:
            listener = tcp_listener(settings.admin_host, settings.admin_port)
            doors.append(_door(make_admin(directory, leading.lead), listener))
        stopped = stop_event()
        tasks = [asyncio.create_task(_renew(leading)), asyncio.create_task(_sweep(leading.service))]
        try:
            await serve_until(stopped, doors)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            directory.gating_socket.unlink(missing_ok=True)


def _door(app: ASGIApp, listener: socket.socket) -> tuple[uvicorn.Server, socket.socket]:
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, lifespan="off", timeout_graceful_shutdown=15
    )
    return Server(config), listener


async def _renew(leading: Leading) -> None:
    while True:
        await asyncio.sleep(TERM_RENEW_SECONDS)
        try:
            await leading.service.in_turn(leading.renew)
            await leading.service.in_turn(leading.note_delivered)
        except PixelgateError as error:
            # Without renewal no lease is granted past the term: hits go on unverified, and are settled later.
            _log.warning("the term was not renewed: %s", error)


async def _sweep(service: Service) -> None:
    while True:
        try:
            swept = await service.sweep()
        except PixelgateError as error:
            _log.warning("deadlines were not made durable: %s", error)
            swept = 0
        if not swept:
            await asyncio.sleep(SWEEP_SECONDS)


def _boot_id() -> str:
    """The host's boot (random(4)); a random id where the kernel tells none, so that no other's term counts."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return secrets.token_hex(16)
