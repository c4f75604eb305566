"""One collector worker: its socket, its journal, its gate and feed, its counters; `python -m collector` runs it.

A worker needs nobody: with no other role up it serves, keeping hits unverified. It stops on SIGTERM and SIGINT by
answering what was read. What must end it at once (a failed sync, a bug in a tick) makes it exit without answering;
its journal stays behind for the consumer, and the supervisor starts the next one.
"""

import asyncio
import contextlib
import gc
import logging
from collections.abc import AsyncIterator
from typing import Final

import uvicorn

from collector.app import CollectorApp
from collector.config import CollectorSettings
from collector.errors import JournalError, SettingInvalid
from collector.gate import Gate
from collector.group import Group, SyncedGroup
from collector.journal import Durability, Journal
from collector.limits import Limits
from collector.linger import Linger
from collector.listening import BACKLOG, PixelServer
from collector.metrics import PUBLISH_SECONDS, CounterFile, Counters
from collector.protocol import protocol_class
from collector.service_times import ServiceTimes, timed_class
from collector.tls import Certificate, certificate_of
from collector.wheel import Wheel
from gating.datadir import DataDirectory
from gating.feed import Feed
from gating.ledger_feed import LedgerFeed
from gating.serving import serve_until, stop_event, tcp_listener

SEGMENT_SECONDS: Final = 60.0
"""How long a journal's segment takes records: it is a spool of minutes, on a quiet host too (I12)."""

LOAD_SECONDS: Final = 0.5
"""A worker that starts waits this long for its map, enough for 100,000 keys; then it serves while the rest is loaded,
keeping hits unverified: until it listens they would be refused."""

_log = logging.getLogger("pixelgate.collector")


class Worker:
    """Everything of one worker process; made by `run` in its loop."""

    def __init__(self, settings: CollectorSettings, directory: DataDirectory, stopped: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        self._settings = settings
        self._stopped = stopped
        self._loaded = asyncio.Event()
        self.fatal: BaseException | None = None
        self.certificate = certificate_of(settings.tls_certificate, settings.tls_key)  # before there is a journal
        self.journal = Journal.create(
            directory.journals, Durability(settings.durability), segment_bytes=settings.segment_bytes
        )
        self.counters = Counters()
        self.gate = Gate()
        self.feed = _feed(settings, directory, self.gate, self.journal.id)
        owned = (self.gate, self.journal, self.counters.outcomes, loop, self._end)
        if self.journal.durability is Durability.DISK:
            group: Group = SyncedGroup(*owned)  # whose syncs take longer than any pause
        else:
            group = Group(*owned, Linger(settings.linger_us / 1e6) if settings.linger_us else None)
        self.wheel = Wheel(loop)
        protocol = protocol_class(
            group=group,
            counters=self.counters,
            wheel=self.wheel,
            limits=Limits(connections_max=settings.connections_max),
        )
        self.service_times = ServiceTimes() if settings.service_times else None
        if self.service_times is not None:
            protocol = timed_class(protocol, self.service_times)
        app = CollectorApp(group, self.counters, self.not_ready)
        self.server = PixelServer(_uvicorn(app, protocol, settings, self.certificate))
        self._file = CounterFile(directory.counters, journal=self.journal.id, worker=settings.worker)

    def not_ready(self) -> list[str]:
        """Why a load balancer should send its hits elsewhere for now."""
        reasons = []
        if not self.gate.loaded:
            reasons.append("no map of accounts yet: hits are kept unverified")
        elif not self.gate.leased:
            reasons.append("no lease: hits are kept unverified until the gating service answers")
        if not self.journal.ready:
            reasons.append(f"the journal is {self.journal.fill:.0%} full")
        return reasons

    async def follow(self) -> None:
        """Load the map and follow its changes, until cancelled; what fails here is a bug and ends the worker."""
        try:
            await self.feed.load()
            self._loaded.set()
            await self.feed.run()
        except Exception as error:
            self._end(error)
        finally:
            self._loaded.set()

    async def loaded(self) -> None:
        """Return once the map is loaded, or LOAD_SECONDS have passed."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._loaded.wait(), LOAD_SECONDS)

    async def tend(self) -> None:
        """Once a second: publish the counters, look at the disk, have the next segment ready before it is needed."""
        while True:
            await asyncio.sleep(PUBLISH_SECONDS)
            self.publish()
            self._renew_certificate()
            try:
                await asyncio.to_thread(self.journal.check_disk)
                if self.journal.wants_spare:
                    await asyncio.to_thread(self.journal.prepare_spare)
                elif self.journal.ages(SEGMENT_SECONDS):
                    await asyncio.to_thread(self.journal.prepare_spare)
                    self.journal.roll(SEGMENT_SECONDS)
            except (JournalError, OSError) as error:
                _log.warning("%s", error)  # readiness tells too; appends go on as long as there is room

    def _renew_certificate(self) -> None:
        try:
            if self.certificate is not None and self.certificate.refresh():
                _log.info("the renewed certificate is offered from now on")
        except SettingInvalid as error:
            _log.warning("%s; the one before it goes on", error)

    def publish(self, *, clean: bool = False) -> None:
        """Write the counters; a disk that says no is told once a second, and costs no hit anything."""
        try:
            self._file.publish(
                self.counters,
                connections=len(self.server.server_state.connections),
                version=self.gate.version,
                leased=self.gate.leased,
                not_ready=self.not_ready(),
                clean=clean,
                service=self.service_times.histograms() if self.service_times is not None else None,
            )
        except OSError as error:
            _log.warning("counters were not published: %s", error)

    def _end(self, error: BaseException) -> None:
        """Stop without answering the hits this befell: whether they are kept is not known."""
        self.fatal = self.fatal or error
        self._stopped.set()
        for connection in list(self.server.server_state.connections):
            if (transport := getattr(connection, "transport", None)) is not None:
                transport.abort()


def _feed(settings: CollectorSettings, directory: DataDirectory, gate: Gate, journal: str) -> Feed:
    """The journal's random id makes the worker's name unique to this start, on any host."""
    if settings.redis_url:
        # Loaded where they are used: a worker without Redis saves 10 MB.
        from gating.redis_feed import RedisFeed
        from gating.saved_map import SavedMap

        saved = SavedMap(directory.maps / f"worker-{settings.worker}")
        return RedisFeed(gate, url=settings.redis_url, worker=f"worker-{journal}", saved=saved)
    return LedgerFeed(gate, ledger=directory.ledger, directory=directory.feed, worker=f"worker-{journal[:16]}")


def _uvicorn(
    app: CollectorApp, protocol: type[asyncio.Protocol], settings: CollectorSettings, certificate: Certificate | None
) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=protocol,
        lifespan="off",
        log_config=None,
        access_log=False,  # no write keys, queries or addresses in logs
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=int(settings.drain_seconds) or None,
        ssl_context_factory=None if certificate is None else lambda _config, _default: certificate.context,
    )


@contextlib.asynccontextmanager
async def _running(worker: Worker) -> AsyncIterator[None]:
    """Feed, wheel and counters, for as long as the block runs."""
    # What is imported lives as long as the process: collections need not walk it, nor while the map is loaded. The map
    # itself is nothing to the collector (`collector/entry.py`).
    gc.collect()
    gc.freeze()
    tasks = [asyncio.create_task(worker.follow())]
    await worker.loaded()
    worker.publish()
    worker.wheel.start()
    tasks.append(asyncio.create_task(worker.tend()))
    try:
        yield
    finally:
        worker.wheel.stop()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def run(settings: CollectorSettings) -> None:
    """Serve until SIGTERM or SIGINT. Raises Unreachable for a port that is taken, JournalError for what ended it."""
    directory = DataDirectory.open(settings.data)
    # A socket a worker: the kernel spreads connections over them, and one that dies takes only its own queue along.
    listener = tcp_listener(settings.host, settings.port, shared=True)
    stopped = stop_event()
    worker = Worker(settings, directory, stopped)
    try:
        async with _running(worker):
            await serve_until(stopped, [(worker.server, listener)])
    finally:
        # In this order: whoever finds the journal's lock free finds the last counts too, and may fold them.
        worker.publish(clean=worker.fatal is None)
        worker.journal.close()
    if worker.fatal is not None:
        raise worker.fatal
