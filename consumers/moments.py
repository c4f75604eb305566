"""Periods as people write them: RFC 3339 times and days in, microseconds UTC out. Pure."""

from datetime import UTC, datetime, timedelta
from typing import Final

from consumers.errors import QuestionInvalid
from consumers.warehouse.protocol import Period

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
ALWAYS: Final = Period(0, 4_102_444_800_000_000)  # up to 2100-01-01: a hit's time is the collector's clock's


def period_of(from_: str | None, to: str | None) -> Period:
    """Return the period from `from_` on and before `to`; either may be open. Raises QuestionInvalid.

    A time is RFC 3339 (`2026-03-01T12:00:00Z`), or a day (`2026-03-01`), which stands for its first instant UTC.
    """
    from_us = ALWAYS.from_us if from_ is None else moment_us("from", from_)
    to_us = ALWAYS.to_us if to is None else moment_us("to", to)
    if from_us > to_us:
        raise QuestionInvalid("from", str(from_), f"a time not after to ({to})")
    return Period(from_us, to_us)


def moment_us(name: str, text: str) -> int:
    """Return the time in microseconds UTC. Raises QuestionInvalid, naming the value `name`."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise QuestionInvalid(name, text, "a time such as 2026-03-01T12:00:00Z, or a day") from None
    if moment.tzinfo is None:
        if len(text.strip()) > len("2026-03-01"):
            raise QuestionInvalid(name, text, "a time with its offset, such as 2026-03-01T12:00:00Z")
        moment = moment.replace(tzinfo=UTC)
    try:
        return max(ALWAYS.from_us, min(ALWAYS.to_us, (moment - EPOCH) // timedelta(microseconds=1)))
    except OverflowError:
        raise QuestionInvalid(name, text, "a time between the years 1 and 9999") from None


def month_before(end_us: int) -> Period:
    """Return the calendar month (UTC) that holds the last instant before `end_us`."""
    last = EPOCH + timedelta(microseconds=max(0, end_us - 1))
    first = last.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = (first + timedelta(days=32)).replace(day=1)
    return Period((first - EPOCH) // timedelta(microseconds=1), (following - EPOCH) // timedelta(microseconds=1))
