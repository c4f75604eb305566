"""POST /v1/events: one event of a batch, as `batch.py` checked it and described its fields.

Fields that are not in its table are kept under `params`, beside those of `params` itself (both in a list where a name
is in both); so is a `client_time` outside 2000 to 2099. An empty text is a missing one.
"""

from typing import Any, Final
from urllib.parse import unquote_to_bytes

import orjson

from collector.batch import written
from collector.event import DEFAULT_NAME, Event, rfc3339_us
from collector.hit import EVENTS_PATH
from collector.trackers.request import Request, keep, milliseconds_us, sane_us

TRACKER: Final = "events"


def claims(request: Request) -> bool:
    """Whether this is an event of our own batch route."""
    return request.body is not None and unquote_to_bytes(request.path) == EVENTS_PATH


def read(request: Request, event: Event) -> None:
    """Fill in what the event's JSON says."""
    event.tracker = TRACKER
    fields = _loaded(request.body or b"")
    event.write_key = _text(fields.pop("write_key", None)) or ""
    event.name = _text(fields.pop("name", None)) or DEFAULT_NAME
    event.url = _text(fields.pop("url", None))
    event.referrer = _text(fields.pop("referrer", None))
    event.visitor = _text(fields.pop("visitor", None))
    event.user = _text(fields.pop("user", None))
    event.client_id = _text(fields.pop("client_id", None))
    client_time = fields.pop("client_time", None)
    params = fields.pop("params", None)
    event.params = params if type(params) is dict else {}
    for name, value in fields.items():
        keep(event.params, name, value)
    event.client_time = _time_us(client_time)
    if event.client_time is None and client_time is not None:
        keep(event.params, "client_time", client_time)


def _loaded(body: bytes) -> dict[str, Any]:
    """The event's object. Bytes that `parse_events` would not have written are kept whole, as text."""
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError:
        fields = None
    if type(fields) is dict and written(fields) is not None:
        return fields
    return {"body": body.decode("utf-8", "replace")}


def _text(value: Any) -> str | None:
    """A text or a number as text; None where it is missing or empty."""
    return None if value is None else str(value) or None


def _time_us(value: Any) -> int | None:
    if type(value) is int or type(value) is float:
        return milliseconds_us(value)
    try:
        return sane_us(rfc3339_us(value)) if type(value) is str else None
    except ValueError:
        return None
