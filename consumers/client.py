"""Client: reports, exports, tails and sums for a command line, from the consumer where one runs, else from the files.

DuckDB lets one process hold the warehouse. Where a consumer runs it is asked over its socket; where none does, this
process takes the role for as long as the question lasts. Callers cannot tell the difference but by the time it takes.
"""

import asyncio
import base64
import hashlib
import http.client
import os
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode

import orjson

from consumers.accounts import Accounts
from consumers.config import ConsumerSettings
from consumers.errors import ExportFailed
from consumers.export import CHUNK_BYTES, Format, whole_file
from consumers.moments import period_of
from consumers.server import EVENTS_HEADER
from consumers.service import Service
from consumers.tail import POLL_SECONDS, Filter, Tail
from consumers.warehouse.protocol import Audience
from gating.clock import Clock
from gating.datadir import DataDirectory
from gating.errors import DataDirectoryInUse, PixelgateError, Unreachable
from gating.ledger import Ledger, sqlite_url
from gating.local_http import RemoteError
from gating.status import Verdict

START_SECONDS: Final = 10.0
"""How long a consumer that holds its role but does not listen yet (it opens a large warehouse) is waited for."""

RETRY_SECONDS: Final = 0.05
ANSWER_SECONDS: Final = 4000.0  # longer than any `--settled` may wait
Progress = Callable[[int, int], None]
"""Told how many bytes of how many have come."""
T = TypeVar("T")


class ConsumerClient:
    """The consumer's verbs on one data directory, blocking. Every method raises what `service.py` raises,
    or the RemoteError that carries it."""

    def __init__(self, data: DataDirectory, settings: ConsumerSettings) -> None:
        self._data = data
        self._settings = settings

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

        async def local(service: Service) -> dict[str, Any]:
            return await service.report(account, audience, period)

        return self._ask(lambda connection: _json(connection, question), local, settled)

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

        def remote(connection: http.client.HTTPConnection) -> tuple[int, str]:
            with whole_file(target) as temporary:
                return _download(connection, question, temporary, target, progress)

        async def local(service: Service) -> tuple[int, str]:
            exported = await service.export(account, audience, period, format_, target)
            return exported.events, exported.sha256

        events, sha256 = self._ask(remote, local, settled)
        return {"file": str(target), "events": events, "sha256": sha256}

    def sums(self, settled: float | None = None) -> dict[str, Any]:
        """What the warehouse holds, journal by journal; for `verify`."""
        question = "/v1/sums" + ("" if settled is None else f"?settled={settled}")
        return self._ask(lambda connection: _json(connection, question), lambda service: service.sums(), settled)

    def status(self) -> dict[str, Any] | None:
        """What the consumer that runs here tells of itself; None where none does."""
        connection = _connect(self._data.consumer_socket)
        if connection is None:
            return None
        with connection:
            return _json(connection.http, "/v1/status")

    def tail(
        self, account: str | None = None, *, verdict: Verdict | None = None, audience: Audience = Audience.OPERATOR
    ) -> Iterator[dict[str, Any]]:
        """Events from this call on, as they are kept, for as long as the caller goes on; needs no consumer.

        Raises NotFound, AccessDenied at once; AccessDenied later too, when an account loses its access.
        """
        clock = Clock()
        accounts = Accounts(lambda: Ledger.open_reading(sqlite_url(self._data.ledger)), clock.now_us)
        tail = Tail(self._data.journals, self._settings.addresses(), Filter(account, verdict, audience), accounts.view)
        return _followed(tail, accounts)

    def _ask(
        self,
        remote: Callable[[http.client.HTTPConnection], T],
        local: Callable[[Service], Awaitable[T]],
        settled: float | None,
    ) -> T:
        """Ask the consumer that listens, or be it; whichever comes first, since one may start or stop just now."""
        until = time.monotonic() + START_SECONDS
        while True:
            if (connection := _connect(self._data.consumer_socket)) is not None:
                with connection:
                    return remote(connection.http)
            try:
                with self._data.hold("consumer"):
                    return asyncio.run(self._alone(local, settled))
            except DataDirectoryInUse:
                if time.monotonic() > until:
                    raise Unreachable(
                        f"a consumer holds {self._data.root} but does not answer at {self._data.consumer_socket}; "
                        "see its log, or stop it"
                    ) from None
            time.sleep(RETRY_SECONDS)

    async def _alone(self, local: Callable[[Service], Awaitable[T]], settled: float | None) -> T:
        service = Service(self._data, self._settings.addresses())
        try:
            if settled is not None:
                await service.loop.settle_alone(settled)
            return await local(service)
        finally:
            await service.close()


def _followed(tail: Tail, accounts: Accounts) -> Iterator[dict[str, Any]]:
    try:
        while True:
            yield from tail.poll()
            time.sleep(POLL_SECONDS)
    finally:
        tail.close()
        accounts.close()


class _Connection:
    """One HTTP connection over a connected Unix socket."""

    def __init__(self, connected: socket.socket) -> None:
        self.http = http.client.HTTPConnection("pixelgate")
        self.http.sock = connected

    def __enter__(self) -> "_Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()


def _connect(path: Path) -> _Connection | None:
    """Connect to the socket; None where nobody listens. A path may be longer than a Unix address (unix(7))."""
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            connected.connect(f"/proc/self/fd/{directory}/{path.name}")
        finally:
            os.close(directory)
    except (FileNotFoundError, ConnectionRefusedError):
        connected.close()
        return None
    connected.settimeout(ANSWER_SECONDS)
    return _Connection(connected)


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


def _get(connection: http.client.HTTPConnection, question: str) -> http.client.HTTPResponse:
    """Ask; raises the problem that was answered, or Unreachable."""
    try:
        connection.request("GET", question)
        response = connection.getresponse()
        if response.status != http.HTTPStatus.OK:
            raise problem_of(response.read())
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"the consumer did not answer: {error}; see its log") from error
    return response


def _json(connection: http.client.HTTPConnection, question: str) -> dict[str, Any]:
    answer: dict[str, Any] = orjson.loads(_get(connection, question).read())
    return answer


def _download(
    connection: http.client.HTTPConnection, question: str, temporary: Path, target: Path, progress: Progress | None
) -> tuple[int, str]:
    """Fetch an export into `temporary`; returns its events and digest, once both agree with what was announced."""
    response = _get(connection, question)
    total, done = int(response.headers["Content-Length"]), 0
    digest = hashlib.sha256()
    with temporary.open("wb") as file:
        while chunk := _read(response, target):
            file.write(chunk)
            digest.update(chunk)
            done += len(chunk)
            if progress:
                progress(done, total)
    announced = response.headers["Repr-Digest"].removeprefix("sha-256=:").removesuffix(":")
    if base64.b64encode(digest.digest()).decode() != announced:
        raise ExportFailed(target, EOFError("it broke off; the account may have lost its access meanwhile"))
    return int(response.headers[EVENTS_HEADER]), digest.hexdigest()


def _read(response: http.client.HTTPResponse, target: Path) -> bytes:
    try:
        return response.read(CHUNK_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise ExportFailed(target, error) from error


def problem_of(body: bytes) -> PixelgateError:
    """The error that a problem document words, with its exit code, status and code."""
    try:
        return RemoteError(orjson.loads(body))
    except (ValueError, AttributeError):
        return Unreachable("the consumer answered with an error of its own; see its log")
