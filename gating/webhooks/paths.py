"""Paths: finding values in an event's JSON, as a mapping names them. Pure.

`a.b` is a key of a key, `a.0` an item of a list, `a.*.b` every item's. What is not there, or is of another kind, is
simply not found: providers leave out, move and empty fields from version to version.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from gating.errors import InputInvalid
from gating.status import SECOND_US
from gating.times import parse_rfc3339

TEXT_CHARACTERS_MAX: Final = 255
"""Stripe's ids have at most 255 characters (docs.stripe.com/upgrades); Paddle's have 30."""
YEAR_10000_SECONDS: Final = 253_402_300_800


def found(document: Any, path: str) -> Iterator[Any]:
    """Every value at the path, in the document's order."""
    yield from _found(document, path.split("."))


def text(document: Any, paths: Iterable[str]) -> str | None:
    """The first text that is there, no longer than TEXT_CHARACTERS_MAX and printable; a number counts as its digits."""
    for path in paths:
        for value in found(document, path):
            word = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
            if isinstance(word, str) and 0 < len(word) <= TEXT_CHARACTERS_MAX and word.isprintable():
                return word
    return None


def moment_us(document: Any, paths: Iterable[str]) -> int | None:
    """The latest moment at the first path that has any: seconds since 1970, or RFC 3339."""
    for path in paths:
        moments = [moment for value in found(document, path) if (moment := _moment_us(value)) is not None]
        if moments:
            return max(moments)
    return None


def _found(value: Any, steps: Sequence[str]) -> Iterator[Any]:
    if not steps:
        yield value
        return
    step, rest = steps[0], steps[1:]
    if isinstance(value, dict):
        if step in value:
            yield from _found(value[step], rest)
    elif isinstance(value, list):
        if step == "*":
            for item in value:
                yield from _found(item, rest)
        elif step.isdigit() and int(step) < len(value):
            yield from _found(value[int(step)], rest)


def _moment_us(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value * SECOND_US if 0 < value < YEAR_10000_SECONDS else None
    if isinstance(value, str):
        try:
            moment = parse_rfc3339(value)
        except (InputInvalid, OverflowError):
            return None
        return moment if moment > 0 else None
    return None
