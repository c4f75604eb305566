"""The pixel: `/p/{write_key}.gif` and `/p.gif?k={write_key}`, everything in the query.

    e  name, default page_view      v    visitor
    u  url                          uid  user
    r  referrer, default: Referer   t    client_time, ms

A query is never malformed. The first of a repeated name counts; later ones, every other name, a `t` that is no time
and a value with a broken escape are kept under `params`, the last two as the text that was sent. An empty value is a
missing one, but for `r=`: there the page says that nothing led to it, and Referer (the page itself) does not.
"""

from typing import Final
from urllib.parse import unquote_to_bytes

from collector.event import DEFAULT_NAME, Event
from collector.hit import is_pixel_path, key_of
from collector.trackers.request import Request, keep, milliseconds_text_us, pairs

TRACKER: Final = "pixel"
_KNOWN: Final = frozenset(("e", "u", "r", "v", "uid", "t"))
_KNOWN_AND_KEY: Final = _KNOWN | {"k"}


def claims(request: Request) -> bool:
    """Whether this request is a pixel."""
    return is_pixel_path(request.path)


def read(request: Request, event: Event) -> None:
    """Fill in what the query says."""
    event.tracker = TRACKER
    event.write_key = (key_of(request.path, request.query) or b"").decode("utf-8", "replace")
    known: dict[str, str] = {}
    params = event.params
    # `k` is the key where the path has none, and a name like any other where it has.
    is_key_in_query = request.path[:3] != b"/p/" and unquote_to_bytes(request.path) == b"/p.gif"
    names = _KNOWN_AND_KEY if is_key_in_query else _KNOWN
    for name, sent, value in pairs(request.query):
        if name in names and name not in known and value is not None:
            known[name] = value
        else:
            keep(params, name, sent if value is None else value)
    take = known.get
    event.name = take("e") or DEFAULT_NAME
    event.url = take("u") or None
    event.referrer = known["r"] or None if "r" in known else request.header_text(b"referer")
    event.visitor = take("v") or None
    event.user = take("uid") or None
    if client_time := take("t"):
        event.client_time = milliseconds_text_us(client_time)
        if event.client_time is None:
            keep(params, "t", client_time)
