"""Times as people and JSON see them: RFC 3339, UTC. Inside they are microseconds since 1970."""

from datetime import UTC, datetime, timedelta
from typing import Final

from gating.errors import InputInvalid

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def rfc3339(time_us: int) -> str:
    """Microseconds UTC as text, always with six digits of a second: texts sort as times do."""
    return (_EPOCH + timedelta(microseconds=time_us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_rfc3339(text: str) -> int:
    """A time with a zone as microseconds UTC. Raises InputInvalid for anything else."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InputInvalid(f"{text[:40]!r} is no time with a zone, such as 2026-03-20T00:00:00Z")
    return (moment - _EPOCH) // timedelta(microseconds=1)


def years_after_us(time_us: int, years: int) -> int:
    """The same day and time `years` later, UTC; 29 February becomes 1 March, so that no term is a day short."""
    moment = _EPOCH + timedelta(microseconds=time_us)
    try:
        later = moment.replace(year=moment.year + years)
    except ValueError:
        later = moment.replace(year=moment.year + years, month=3, day=1)
    return (later - _EPOCH) // timedelta(microseconds=1)
