"""The gating process: one ledger, one leader, the deadlines' sweeper, and the two doors to them.

`python -m gating` runs it; the command line makes the same `Leading` for one command where none runs. The caller holds
the role `gating` on the data directory, so there is one leader a host.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Coroutine
from types import TracebackType
from typing import Any, Final, Protocol, Self

import uvicorn
from fastapi import FastAPI
from prometheus_client.registry import Collector
from starlette.types import ASGIApp

from gating.admin import make_admin
from gating.api import make_api
from gating.bounded_http import BoundedHttp
from gating.clock import Clock, boot_id, boot_ns
from gating.clock_metrics import ClockMetrics
from gating.config import GatingSettings, LeadSettings
from gating.datadir import DataDirectory
from gating.effects.desk import add_routes
from gating.effects.handlers import make_handlers
from gating.effects.metrics import EffectMetrics
from gating.effects.runner import Runner
from gating.errors import PixelgateError
from gating.lead import Lead
from gating.ledger import CHANGE, Ledger, Term, sqlite_url
from gating.local_lead import LocalLead
from gating.relay_metrics import RelayMetrics
from gating.rest.app import Rest
from gating.service import Service
from gating.serving import Server, serve_until, stop_event, tcp_listener, unix_listener
from gating.tasks import Tasks
from gating.webhooks.desk import Desk
from gating.webhooks.routes import add_billing
from gating.webhooks.webhooks import Webhooks

TERM_NS: Final = 10_000_000_000
TERM_RENEW_SECONDS: Final = 2.0
"""A term outlives four renewals that fail; each is one commit, about a millisecond."""
CONNECTIONS_MAX: Final = 512
"""Open connections of the admin port; more are answered 503."""
SWEEP_SECONDS: Final = 0.5
"""How late a deadline is made durable; the gates enforced it at its moment."""

_log = logging.getLogger("pixelgate.gating")


class Led(Protocol):
    """A ledger with a service over it, whoever leads its workers."""

    ledger: Ledger
    service: Service
    api: FastAPI

    @property
    def lead(self) -> Lead: ...

    @property
    def leads(self) -> bool:
        """Whether this process is the one that sweeps deadlines now."""

    def works(self) -> list[Coroutine[Any, Any, None]]:
        """What is to be done beside serving, each until cancelled."""


class Leading:
    """The file in the data directory, led on this host: the service and its API, for as long as the block runs.

    Needs a running loop. The caller holds the role `gating`.
    """

    def __init__(self, directory: DataDirectory) -> None:
        self._directory = directory
        self._url = sqlite_url(directory.ledger)
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
            add_billing(self.api, Desk(self.ledger, self.service))
            add_routes(self.api, self.ledger, clock, self.service.in_turn)
            self._closing = opening.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()

    def _take_term(self) -> Term:
        term = self.ledger.take_term("local", boot_ns(), TERM_NS, boot_id())
        if term is None:
            raise RuntimeError("another gating service leads this ledger, though this one holds the role")
        return term

    @property
    def leads(self) -> bool:
        """Always: nobody else can open this ledger."""
        return True

    def works(self) -> list[Coroutine[Any, Any, None]]:
        """What is to be done for as long as a process leads."""
        return [self._renew()]

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(TERM_RENEW_SECONDS)
            try:
                await self.service.in_turn(self.renew)
                await self.service.in_turn(self.note_delivered)
            except PixelgateError as error:
                # Without renewal no lease is granted past the term: hits go on unverified, and are settled later.
                _log.warning("the term was not renewed: %s", error)

    def renew(self) -> None:
        """Move the term's end on; takes a new one where somebody else's began. Called from the renewing task alone."""
        until_ns = boot_ns() + TERM_NS
        if self.ledger.renew_term(self._term.number, until_ns, self.service.clock.reading()):
            self._term = Term(self._term.number, self._term.holder, until_ns)
        else:
            self._term = self._take_term()

    def note_delivered(self) -> None:
        """Forget the changes that are announced: here they go by datagram, and whoever missed one reads the ledger."""
        owed = self.ledger.outbox(kind=CHANGE, limit=1000)
        announced = [row.id for row in owed if row.version <= self.lead.head]
        if announced:
            self.ledger.delivered(CHANGE, announced[-1])


@contextlib.asynccontextmanager
async def led(directory: DataDirectory, settings: LeadSettings, *, for_long: bool = False) -> AsyncIterator[Led]:
    """The ledger that the settings name, with a service over it. for_long: this process may lead other hosts' too.

    Raises InputInvalid where a PostgreSQL ledger is to be led without Redis, Unreachable.
    """
    if settings.redis_url or settings.database_url:
        from gating.sharing import Sharing  # Redis' and Kafka's clients: one host needs neither

        async with Sharing(directory, settings, contends=for_long or not settings.database_url) as sharing:
            yield sharing
    else:
        with Leading(directory) as leading:
            yield leading


async def run(settings: GatingSettings) -> None:
    """Serve until SIGTERM or SIGINT."""
    directory = DataDirectory.open(settings.data)
    with directory.claim("gating"):
        async with led(directory, settings, for_long=True) as leading:
            await _serve(directory, settings, leading)


async def _serve(directory: DataDirectory, settings: GatingSettings, leading: Led) -> None:
    runner = _runner(directory, settings, leading)
    doors = [_door(leading.api, unix_listener(directory.gating_socket))]
    billing = Webhooks(settings, leading.ledger, leading.service, leads=lambda: leading.leads)
    rest = Rest(directory, leading.ledger, leading.service, leads=lambda: leading.leads, auth_tries=settings.auth_tries)
    if settings.admin_port:
        listener = tcp_listener(settings.admin_host, settings.admin_port)
        metrics = (*_metrics(leading, runner), billing.counts, rest.metrics)
        admin = make_admin(directory, leading.lead, *metrics, not_ready=leading.service.clock_desk.not_ready)
        app = billing.before(rest.beside(admin))
        doors.append(_door(app, listener, http=BoundedHttp, limit_concurrency=CONNECTIONS_MAX))
    stopped = stop_event()
    works = (*leading.works(), *billing.works(), *rest.works(), leading.service.refusals.run())
    tasks = Tasks((*works, _sweep(leading), runner.run()), stopped)
    try:
        await serve_until(stopped, doors)
    finally:
        directory.gating_socket.unlink(missing_ok=True)
        rest.close()
        await tasks.close()


def _runner(directory: DataDirectory, settings: GatingSettings, leading: Led) -> Runner:
    service = leading.service
    handlers = make_handlers(settings, directory, leading.ledger, service.in_turn)
    return Runner(
        leading.ledger, handlers, service.clock, in_turn=service.in_turn, leads=lambda: leading.leads,
        busy=lambda: service.sweeper.is_behind,
    )  # fmt: skip


def _metrics(leading: Led, runner: Runner) -> list[Collector]:
    service = leading.service
    found: list[Collector] = [
        EffectMetrics(leading.ledger, service.clock, runner.counts), ClockMetrics(service.clock_desk),
        service.refusals,
    ]  # fmt: skip
    relay = getattr(leading, "relay", None)
    return found if relay is None else [*found, RelayMetrics(relay.status)]


def _door(app: ASGIApp, listener: socket.socket, **more: Any) -> tuple[uvicorn.Server, socket.socket]:
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, lifespan="off", timeout_graceful_shutdown=15,
        **more,
    )  # fmt: skip
    return Server(config), listener


async def _sweep(led: Led) -> None:
    while True:
        try:
            if led.leads:
                swept = await led.service.sweep()
            else:
                await led.service.sweeper.watch()
                swept = 0
        except PixelgateError as error:
            _log.warning("deadlines were not made durable: %s", error)
            swept = 0
        if not swept:
            await asyncio.sleep(SWEEP_SECONDS)
