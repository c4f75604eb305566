"""Event: what becomes of a kept hit, and how it is written on the wire. SHARED by collector and consumers.

`refine.py` makes events, the publisher and the consumers carry them as JSON, warehouses store them. It loads the
standard library, orjson and gating's vocabulary alone. The format is versioned: `tests/collector/golden/` holds what
each version wrote, and today's code reads and writes it byte for byte.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

import orjson

from gating.status import Verdict

SCHEMA_VERSION: Final = 1
"""Kafka's header `schema`. Goes up with each change of what `encode` writes; unknown keys are passed over."""

TOPIC_EVENTS: Final = "pixel.events"
TOPIC_HIDDEN: Final = "pixel.hidden"
DEFAULT_NAME: Final = "page_view"

_EPOCH = datetime(1970, 1, 1)
_WIRE_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{6})Z", re.ASCII)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_VERDICTS: Final = {verdict.name: verdict for verdict in Verdict}
_NAMES: Final = {verdict: verdict.name for verdict in Verdict}
_TEXTS: Final = ("id", "account", "write_key", "name", "tracker")
_OPTIONAL_TEXTS: Final = ("url", "referrer", "visitor", "user", "client_id", "ip", "user_agent", "language")


@dataclass(slots=True)
class Event:
    """One hit as its account will see it. Times are microseconds UTC here and RFC 3339 in JSON; absent is None / null.

    id: journal id and sequence (`event_id`): stable, whoever reads twice drops by it.
    account: "" where the hit's key was unknown while no lease held (then `verified` is False).
    version: the feed's, where the gate stood when it decided.
    client_id: the tracker's own event id, a second dedupe key for its retries.
    ip: already anonymised by policy. params: JSON values by name, at most DEPTH_MAX levels deep (`batch.py`).
    revealed_at: set where an event comes (again) on `pixel.events` because it was settled or revealed.
    """

    id: str
    received_at: int
    account: str
    write_key: str
    verdict: Verdict
    verified: bool
    version: int
    name: str
    url: str | None
    referrer: str | None
    visitor: str | None
    user: str | None
    client_time: int | None
    client_id: str | None
    tracker: str
    ip: str | None
    user_agent: str | None
    language: str | None
    params: dict[str, Any]
    revealed_at: int | None = None

    @property
    def topic(self) -> str:
        """`pixel.events` for what its account may see, `pixel.hidden` for all else."""
        accepted = self.verified and self.verdict is Verdict.ACCEPT
        return TOPIC_EVENTS if accepted or self.revealed_at is not None else TOPIC_HIDDEN

    @property
    def kafka_key(self) -> bytes:
        """`account:visitor`, so that a visitor's events keep their order; without a visitor the id, to spread them."""
        return (f"{self.account}:{self.visitor}" if self.visitor else self.id).encode()

    def encode(self) -> bytes:
        """One line of JSON, keys in the order of the fields, all of them present.

        Raises ValueError for a time outside the years 1 to 9999 and TypeError for what JSON cannot say (a lone
        surrogate, an integer beyond 64 bits, more than 250 levels): `refine.py` makes no such event.
        """
        return orjson.dumps(
            {
                "id": self.id,
                "received_at": time_text(self.received_at),
                "account": self.account,
                "write_key": self.write_key,
                "verdict": _NAMES[self.verdict],
                "verified": self.verified,
                "version": self.version,
                "name": self.name,
                "url": self.url,
                "referrer": self.referrer,
                "visitor": self.visitor,
                "user": self.user,
                "client_time": None if self.client_time is None else time_text(self.client_time),
                "client_id": self.client_id,
                "tracker": self.tracker,
                "ip": self.ip,
                "user_agent": self.user_agent,
                "language": self.language,
                "params": self.params,
                "revealed_at": None if self.revealed_at is None else time_text(self.revealed_at),
            }
        )

    @classmethod
    def decode(cls, data: bytes | str) -> "Event":
        """Inverse of `encode`; keys it does not know are passed over. Raises ValueError for all that is no event."""
        try:
            fields = orjson.loads(data)
            fields["received_at"] = wire_time_us(fields["received_at"])
            for name in ("client_time", "revealed_at"):
                if fields[name] is not None:
                    fields[name] = wire_time_us(fields[name])
            fields["verdict"] = _VERDICTS[fields["verdict"]]
            event = cls(*[fields[name] for name in _FIELDS])
        except (KeyError, TypeError) as error:
            raise ValueError(f"not an event: {error!r}") from error
        if fault := _type_fault(event):
            raise ValueError(f"not an event: {fault}")
        return event


_FIELDS: Final = tuple(Event.__dataclass_fields__)


def _type_fault(event: Event) -> str | None:
    """The first field whose JSON type `encode` would not have written."""
    for name in _TEXTS:
        if type(getattr(event, name)) is not str:
            return f"{name} is no text"
    for name in _OPTIONAL_TEXTS:
        value = getattr(event, name)
        if value is not None and type(value) is not str:
            return f"{name} is neither text nor null"
    if type(event.verified) is not bool or type(event.version) is not int or type(event.params) is not dict:
        return "verified, version or params has a wrong type"
    return None


def event_id(journal_id: str, sequence: int) -> str:
    """The id of the hit with this sequence in the journal with this id (32 hex digits)."""
    return f"{journal_id}-{sequence}"


def time_text(time_us: int) -> str:
    """Microseconds UTC as "2026-03-01T12:00:00.000000Z". Raises ValueError outside the years 1 to 9999."""
    seconds, fraction_us = divmod(time_us, 1_000_000)
    return f"{_second_text(seconds)}.{fraction_us:06d}Z"


@lru_cache(maxsize=4096)  # events of a batch share their seconds: 0.2 us instead of 1.5 (timeit, CPython 3.11)
def _second_text(seconds: int) -> str:
    try:
        return (_EPOCH + timedelta(seconds=seconds)).isoformat()
    except OverflowError as error:
        raise ValueError(f"{seconds} s since 1970 lies outside the years 1 to 9999") from error


def wire_time_us(text: str) -> int:
    """Inverse of `time_text`. Raises ValueError for any other shape, even where RFC 3339 allows it."""
    if (found := _WIRE_TIME.fullmatch(text)) is None:
        raise ValueError(f"{text!r} is not a time like 2026-03-01T12:00:00.000000Z")
    return _text_second(found[1]) * 1_000_000 + int(found[2])


@lru_cache(maxsize=4096)
def _text_second(text: str) -> int:
    since = datetime.fromisoformat(text) - _EPOCH
    return since.days * 86_400 + since.seconds


def rfc3339_us(text: str) -> int:
    """Microseconds UTC of an RFC 3339 time as clients write it; digits below microseconds are cut.

    Raises ValueError for anything else, a time without its offset and a leap second included.
    """
    if _RFC3339.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not an RFC 3339 time with its offset")
    since = datetime.fromisoformat(text.upper()) - _EPOCH.replace(tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
