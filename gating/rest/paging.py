"""Paging: a list a page at a time. `next` is where the following page begins: to be handed back as `cursor`, as it is.

A cursor is a position in the list's order, not a count of rows: rows that are added meanwhile shift nothing. Callers
take it as opaque; what it may look like is in its pattern, so that any other is refused before the ledger is asked.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, TypeVar

from fastapi import Query

from gating.ledger.pages import START, Place
from gating.views import Document

T = TypeVar("T")

LIMIT: Final = 50
LIMIT_MAX: Final = 200
_NUMBER: Final = r"[0-9]{1,18}"  # below 2^63
_ID: Final = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}"

Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX, description="Items on a page.")]
_TEXT: Final = "Where the page begins: `next` of the page before."
IdCursor = Annotated[str | None, Query(pattern=f"^{_ID}$", max_length=64, description=_TEXT)]
NumberCursor = Annotated[str | None, Query(pattern=f"^{_NUMBER}$", max_length=18, description=_TEXT)]
PlaceCursor = Annotated[str | None, Query(pattern=rf"^{_NUMBER}\.{_ID}$", max_length=83, description=_TEXT)]
PairCursor = Annotated[str | None, Query(pattern=rf"^{_NUMBER}\.{_NUMBER}$", max_length=37, description=_TEXT)]


def number_of(cursor: str | None) -> int:
    """Beyond which number the page begins; -1 for the first page."""
    return -1 if cursor is None else int(cursor)


def place_of(cursor: str | None) -> Place:
    """Beyond which (number, id) it begins."""
    if cursor is None:
        return START
    number, _, name = cursor.partition(".")
    return int(number), name


def pair_of(cursor: str | None) -> tuple[int, int]:
    """Beyond which two numbers it begins."""
    number, name = place_of(cursor)
    return number, int(name or -1)


def page(rows: Sequence[T], limit: int, view: Callable[[T], Document], position: Callable[[T], str]) -> Document:
    """A page's document of rows that were asked for with `limit + 1`: one more than fits tells that it goes on."""
    shown = rows[:limit]
    return paged([view(row) for row in shown], position(shown[-1]) if len(rows) > limit else None)


def paged(items: list[Any], following: str | None) -> Document:
    """The contract's page."""
    return {"items": items, "next": following}
