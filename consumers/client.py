"""Client: reports, exports, tails and sums for a command line, from the consumer where one runs, else from the files.

DuckDB lets one process hold the warehouse. Where a consumer runs it is asked over its socket; where none does, this
process takes the role for as long as the question lasts. Callers cannot tell the difference but by the time it takes.
"""

import base64
import hashlib
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote, urlencode

from consumers.errors import ExportFailed
from consumers.export import CHUNK_BYTES, EVENTS_HEADER, Format, whole_file
from consumers.moments import period_of
from consumers.warehouse.protocol import Audience
from gating.datadir import DataDirectory
from gating.errors import DataDirectoryInUse, Unreachable
from gating.local_http import Answer, LocalClient, NobodyListens
from gating.status import Verdict

if TYPE_CHECKING:  # what reads the files by itself is loaded where nobody can be asked: half a second
    from consumers.accounts import Accounts
    from consumers.config import ConsumerSettings
    from consumers.service import Service
    from consumers.tail import Following

START_SECONDS: Final = 10.0
"""How long a consumer that holds its role but does not listen yet (it opens a large warehouse) is waited for."""

RETRY_SECONDS: Final = 0.05
ANSWER_SECONDS: Final = 4000.0  # longer than any `--settled` may wait
Progress = Callable[[int, int], None]
"""Told how many bytes of how many have come."""
T = TypeVar("T")


class ConsumerClient:
    """The consumer's verbs on one data directory, blocking. Every method raises what `service.py` raises,
    or the RemoteError that carries it.

    settings: or how to read them, which is done only where this process has to read the files by itself.
    """

    def __init__(self, data: DataDirectory, settings: "ConsumerSettings | Callable[[], ConsumerSettings]") -> None:
        self._data = data
        self._settings = settings
        self._consumer = LocalClient(data.consumer_socket, "consumer", ANSWER_SECONDS)

    def report(
        self,
        account: str,
        *,
        audience: Audience = Audience.OPERATOR,
        from_: str | None = None,
        to: str | None = None,
        settled: float | None = None,
    ) -> dict[str, Any]:
        """The report of CONTRACT. settled: seconds to wait until all that was answered before now is in it."""
        period = period_of(from_, to)
        question = _question(f"{_account(account)}/report", audience, from_, to, settled)

        async def local(service: "Service") -> dict[str, Any]:
            return await service.report(account, audience, period)

        return self._ask(lambda: self._consumer.ask("GET", question), local, settled)

    def export(
        self,
        account: str,
        target: Path,
        *,
        format_: Format = Format.NDJSON,
        audience: Audience = Audience.OPERATOR,
        from_: str | None = None,
        to: str | None = None,
        settled: float | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Write an export to `target`, whole or not at all; returns CONTRACT's {"file", "events", "sha256"}."""
        period = period_of(from_, to)
        question = _question(f"{_account(account)}/export", audience, from_, to, settled, format=format_.value)

        def remote() -> tuple[int, str]:
            with self._consumer.stream("GET", question) as answer, whole_file(target) as temporary:
                return _download(answer, temporary, target, progress)

        async def local(service: "Service") -> tuple[int, str]:
            exported = await service.export(account, audience, period, format_, target)
            return exported.events, exported.sha256

        events, sha256 = self._ask(remote, local, settled)
        return {"file": str(target), "events": events, "sha256": sha256}

    def sums(self, settled: float | None = None) -> dict[str, Any]:
        """What the warehouse holds, journal by journal; for `verify`."""
        question = "/v1/sums" + ("" if settled is None else f"?settled={settled}")
        return self._ask(lambda: self._consumer.ask("GET", question), lambda service: service.sums(), settled)

    def status(self) -> dict[str, Any] | None:
        """What the consumer that runs here tells of itself; None where none does."""
        try:
            status: dict[str, Any] = self._consumer.ask("GET", "/v1/status")
        except NobodyListens:
            return None
        return status

    def tail(
        self, account: str | None = None, *, verdict: Verdict | None = None, audience: Audience = Audience.OPERATOR
    ) -> Iterator[dict[str, Any]]:
        """Events from this call on, as they are kept, for as long as the caller goes on; needs no consumer.

        Raises NotFound, AccessDenied at once; AccessDenied later too, when an account loses its access.
        """
        from consumers.accounts import Accounts
        from consumers.tail import Filter
        from consumers.tailing import open_tail
        from gating.clock import Clock
        from gating.ledger import Ledger, ledger_url

        clock = Clock()
        settings = self._read_settings()
        url = ledger_url(self._data, settings.database_url)
        accounts = Accounts(lambda: Ledger.open_reading(url), clock.now_us)
        tail = open_tail(self._data, settings, Filter(account, verdict, audience), accounts.view)
        return _followed(tail, accounts)

    def _read_settings(self) -> "ConsumerSettings":
        return self._settings() if callable(self._settings) else self._settings

    def _ask(self, remote: Callable[[], T], local: "Callable[[Service], Awaitable[T]]", settled: float | None) -> T:
        """Ask the consumer that listens, or be it; whichever comes first, since one may start or stop just now."""
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                return remote()
            except NobodyListens:
                try:
                    if not self._data.is_claimed("consumer"):
                        with self._data.hold("consumer"):
                            return self._alone(local, settled)
                except DataDirectoryInUse:
                    if time.monotonic() > until:
                        raise Unreachable(
                            f"a consumer holds {self._data.root} but does not answer at {self._data.consumer_socket}; "
                            "see its log, or stop it"
                        ) from None
            time.sleep(RETRY_SECONDS)

    def _alone(self, local: "Callable[[Service], Awaitable[T]]", settled: float | None) -> T:
        import asyncio

        from consumers.service import Service

        async def answered() -> T:
            service = Service(self._data, self._read_settings())
            try:
                if settled is not None:
                    await service.loop.settle_alone(settled)
                return await local(service)
            finally:
                await service.close()

        return asyncio.run(answered())


def _followed(tail: "Following", accounts: "Accounts") -> Iterator[dict[str, Any]]:
    from consumers.tail import POLL_SECONDS

    try:
        while True:
            yield from tail.poll()
            time.sleep(POLL_SECONDS)
    finally:
        tail.close()
        accounts.close()


def _account(account: str) -> str:
    return f"/v1/accounts/{quote(account, safe='')}"


def _question(
    path: str, audience: Audience, from_: str | None, to: str | None, settled: float | None, **more: str
) -> str:
    asked = {
        "as": audience.value,
        "from": from_,
        "to": to,
        "settled": None if settled is None else str(settled),
        **more,
    }
    return f"{path}?{urlencode({name: value for name, value in asked.items() if value is not None})}"


def _download(answer: Answer, temporary: Path, target: Path, progress: Progress | None) -> tuple[int, str]:
    """Fetch an export into `temporary`; returns its events and digest, once both agree with what was announced."""
    total, done = int(answer.headers["Content-Length"]), 0
    digest = hashlib.sha256()
    with temporary.open("wb") as file:
        while chunk := _read(answer, target):
            file.write(chunk)
            digest.update(chunk)
            done += len(chunk)
            if progress:
                progress(done, total)
    announced = answer.headers["Repr-Digest"].removeprefix("sha-256=:").removesuffix(":")
    if base64.b64encode(digest.digest()).decode() != announced:
        raise ExportFailed(target, EOFError("it broke off; the account may have lost its access meanwhile"))
    return int(answer.headers[EVENTS_HEADER]), digest.hexdigest()


def _read(answer: Answer, target: Path) -> bytes:
    try:
        return answer.read(CHUNK_BYTES)
    except Unreachable as error:
        raise ExportFailed(target, error) from error
