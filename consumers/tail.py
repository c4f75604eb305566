"""Tail: events as they are kept, read from the journals beside the consumer, which it neither waits for nor holds up.

The embedded form; `kafka_tail.py` is the other.

Called by the server and the command line, by polls. Read-only: it takes no lock and moves no cursor. What it shows is
live alone; an account sees what was accepted as it came, while it has access to its data (I11).
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import orjson

from collector.addresses import Addresses
from collector.event import Event
from collector.journal.directory import is_journal
from collector.journal.walk import Walk
from collector.refine import event_of
from consumers.journal_source import journal_end
from consumers.reports import check_access
from consumers.warehouse.protocol import Audience, View
from gating.status import Verdict

KEY_CHARACTERS: Final = 6
POLL_SECONDS: Final = 0.1
EVENTS_MAX: Final = 2_000
"""Of one poll: a slow reader falls behind in the journal, not in anybody's memory."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events a tail shows; None lets all through."""

    account: str | None = None
    verdict: Verdict | None = None
    audience: Audience = Audience.OPERATOR

    def lets(self, event: Event) -> bool:
        """Tell whether the event is shown. An account never sees what is hidden or not verified."""
        if self.account is not None and event.account != self.account:
            return False
        if self.verdict is not None and event.verdict is not self.verdict:
            return False
        return self.audience is Audience.OPERATOR or (event.verified and event.verdict is Verdict.ACCEPT)


class Following(Protocol):
    """What either form's tail does. Blocking: for threads, or a command line."""

    def poll(self) -> list[dict[str, Any]]: ...

    def close(self) -> None: ...


class Tail:
    """One reader's tail, from the moment it is made.

    view: asked before each showing for the account's own access as it is then; not asked for operators.
    """

    def __init__(
        self, journals: Path, addresses: Addresses, filter_: Filter, view: Callable[[str, Audience], View]
    ) -> None:
        self._journals = journals
        self._addresses = addresses
        self._filter = filter_
        self._view = view
        self._walks: dict[str, Walk] = {}
        self._polling = threading.Lock()  # a reader that hangs up closes while a poll runs elsewhere
        self._discover(from_end=True)
        check_reader(filter_, view)

    def poll(self) -> list[dict[str, Any]]:
        """Return what was kept since the last poll and is let through, oldest first within a journal.

        Raises AccessDenied when the account lost its access meanwhile.
        """
        with self._polling:
            self._discover(from_end=False)
            found = [shown(event) for event in self._events() if self._filter.lets(event)]
        check_reader(self._filter, self._view)  # after reading: what was kept before a flip is not shown after it
        return found

    def close(self) -> None:
        """Let go of the files. Idempotent."""
        with self._polling:
            for walk in self._walks.values():
                walk.close()
            self._walks.clear()

    def _events(self) -> Iterator[Event]:
        events = 0
        for journal, walk in list(self._walks.items()):
            try:
                while events < EVENTS_MAX and (frame := walk.step(live=True)):
                    for record in frame.records or ():
                        yield event_of(record, journal, self._addresses)
                        events += 1
            except FileNotFoundError:  # read to its end and removed
                walk.close()
                del self._walks[journal]

    def _discover(self, *, from_end: bool) -> None:
        for path in self._journals.iterdir():
            if path.name in self._walks or not is_journal(path):
                continue
            end = journal_end(path) if from_end else 0
            if end is None:
                continue
            walk = Walk(path)
            walk.next_sequence = max(walk.next_sequence, end + 1)
            self._walks[path.name] = walk


def check_reader(filter_: Filter, view: Callable[[str, Audience], View]) -> None:
    """Raise AccessDenied where an account follows its own events and has no access to them now."""
    if filter_.audience is Audience.ACCOUNT:
        if filter_.account is None:
            raise ValueError("an account's tail needs its account")
        check_access(view(filter_.account, Audience.ACCOUNT))


def shown(event: Event) -> dict[str, Any]:
    """An event as a tail shows it: the wire's JSON, its key shortened, since tails end up in tickets and chats."""
    fields: dict[str, Any] = orjson.loads(event.encode())
    if len(event.write_key) > KEY_CHARACTERS:
        fields["write_key"] = event.write_key[:KEY_CHARACTERS] + "\N{HORIZONTAL ELLIPSIS}"
    return fields
