"""Usage: what an account used in a month, asked of the consumer that runs on this host.

Counts of events are data: an account's own people see them while its access allows (FULL, EXPORT), and only what is
visible to it; the consumer decides both, as for every report. Gating holds no warehouse, so that without a consumer
there is no answer.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, Final
from urllib.parse import quote, urlencode

from fastapi import Query

from gating.datadir import DataDirectory
from gating.errors import Unreachable
from gating.local_http import LocalClient, NobodyListens
from gating.views import Document

READERS_MAX: Final = 2
ANSWER_SECONDS: Final = 30.0
Month = Annotated[
    str | None,
    Query(
        pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$",
        max_length=7,
        description="A calendar month, UTC; this one by default.",
        examples=["2026-03"],
    ),
]  # fmt: skip


class UsageReader:
    """Asks the consumer of one data directory, a few questions at a time."""

    def __init__(self, directory: DataDirectory) -> None:
        self._consumer = LocalClient(directory.consumer_socket, "consumer", ANSWER_SECONDS)
        self._readers = ThreadPoolExecutor(READERS_MAX, thread_name_prefix="usage")

    async def month(self, account: str, month: str, *, as_account: bool) -> Document:
        """Raises Unreachable where no consumer runs; RemoteError for what the consumer refuses."""
        asked = {"as": "account" if as_account else "operator", **dict(zip(("from", "to"), bounds(month), strict=True))}
        path = f"/v1/accounts/{quote(account, safe='')}/report?{urlencode(asked)}"
        report = await asyncio.get_running_loop().run_in_executor(self._readers, self._ask, path)
        return {
            "account": account, "month": month, "access": report["access"], "events": report["events"],
            "visitors": report["visitors"], "mtu": report["mtu"],
        }  # fmt: skip

    def close(self) -> None:
        """Let the questions that run end."""
        self._readers.shutdown()

    def _ask(self, path: str) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = self._consumer.ask("GET", path)
        except NobodyListens as error:
            raise Unreachable(
                "no consumer runs on this host, and only one can read the warehouse: start it with "
                "`pixelgate consumer materialise`, or ask where one runs"
            ) from error
        return answer


def bounds(month: str) -> tuple[str, str]:
    """The first moments of a month and of the one after it."""
    year, number = int(month[:4]), int(month[5:])
    after = (year + 1, 1) if number == 12 else (year, number + 1)
    return f"{year:04}-{number:02}-01T00:00:00Z", f"{after[0]:04}-{after[1]:02}-01T00:00:00Z"
