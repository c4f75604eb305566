"""Trackers: one file a family of clients, each telling what its own requests mean in the words of `event.py`.

To add a family, write `trackers/<family>.py` with the two functions of `Family` and enter the module in `FAMILIES`;
`request.py` has the helpers. A family reads what the journal holds (a request's head and, of a batch, one event's
JSON), fills an event in, and never raises. Which routes there are is the app's business.

    pixel.py    our own GIF
    events.py   our own POST /v1/events
"""

from typing import Final, Protocol

from collector.event import Event
from collector.trackers import events, pixel
from collector.trackers.request import Request


class Family(Protocol):
    """What a family's module has."""

    def claims(self, request: Request) -> bool:
        """Whether this request is one of this family's; cheap, since families are asked one after the other."""

    def read(self, request: Request, event: Event) -> None:
        """Fill in all that the request's own words decide, from `write_key` and `name` to `tracker` and `params`."""


FAMILIES: Final[tuple[Family, ...]] = (pixel, events)
"""Asked in this order: the commonest first."""


def family_of(request: Request) -> Family:
    """Whose request this is; where nobody claims it, the pixel reads what it can."""
    for family in FAMILIES:
        if family.claims(request):
            return family
    return pixel
