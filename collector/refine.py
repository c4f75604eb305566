"""Refine: a journalled record -> an event. All that the hot path left undone is done here, as a list of named steps.

Called by whoever reads the journal (the embedded consumer, the publisher), for each kept hit, in order. Pure: the same
record gives the same event, on every run and on every host. No journalled bytes make it raise: what does not read is
kept as text under `params`, since a kept hit must reach the warehouse (I10).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from collector.addresses import Addresses
from collector.event import DEFAULT_NAME, Event, event_id
from collector.trackers import family_of
from collector.trackers.request import Request

if TYPE_CHECKING:
    from collector.journal.format import Record

TIME_MAX_US: Final = 253_402_300_799_999_999  # the last microsecond of 9999, the last that RFC 3339 can say


Step = Callable[[Event, Request, Addresses], None]
"""One thing that is done to every event; its `__name__` is what its time is reported under."""


def event_of(record: "Record", journal_id: str, addresses: Addresses) -> Event:
    """The event of one record. journal_id: 32 hex digits, the journal the record was read from."""
    request = Request(record.head, record.body, record.peer)
    event = stamp(record, journal_id)
    for step in STEPS:
        step(event, request, addresses)
    return event


def stamp(record: "Record", journal_id: str) -> Event:
    """The event as far as the collector itself decides it; the rest is absent still."""
    return Event(
        event_id(journal_id, record.sequence),
        min(record.received_at_us, TIME_MAX_US),
        record.account,
        "",
        record.verdict,
        record.verified,
        record.version,
        DEFAULT_NAME,
        *(None,) * 6,
        "",
        None,
        None,
        None,
        {},
    )


def track(event: Event, request: Request, _addresses: Addresses) -> None:
    """What the tracker's own words say: write key, name, page, visitor, time, params."""
    family_of(request).read(request, event)


def describe_client(event: Event, request: Request, _addresses: Addresses) -> None:
    """What the browser says of itself."""
    event.user_agent = request.header_text(b"user-agent")
    languages = request.header_text(b"accept-language")
    if languages:
        event.language = language_of(languages)


def language_of(languages: str) -> str | None:
    """Of Accept-Language the first, which browsers send as the preferred one; None where it names none."""
    language = languages.partition(",")[0].partition(";")[0].strip()
    return language if language not in ("", "*") else None


def anonymise(event: Event, request: Request, addresses: Addresses) -> None:
    """The client's address, as far as the policy lets it out of the journal."""
    event.ip = addresses.kept_ip(request.peer, request.client_headers.get(b"x-forwarded-for"))


STEPS: Final[tuple[Step, ...]] = (track, describe_client, anonymise)
