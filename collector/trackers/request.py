"""Request: what a tracker family may look at, and the few helpers that all families read it with.

Made by `refine.py` for each journalled hit. No bytes make anything here raise: what does not read stays text.
"""

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final

from collector.hit import Head, parse_head, request_of, split_target

CLIENT_TIME_MIN_US: Final = 946_684_800_000_000  # 2000-01-01: a clock before it was never set
CLIENT_TIME_MAX_US: Final = 4_102_444_800_000_000  # 2100-01-01
# One pass for the headers that every event needs: 1.5 us of a head of 800 bytes, where `parse_head` takes 7
# (timeit, CPython 3.11). A name is looked for at a line's start only, and llhttp lets no bare CR into a value.
_client_headers = re.compile(
    rb"\r\n(user-agent|referer|accept-language|x-forwarded-for):([^\r]*)", re.IGNORECASE
).findall
_milliseconds = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?", re.ASCII).fullmatch


class Request:
    """One request as it was journalled.

    path, query: percent-encoded. body: one event's JSON where the hit came in a batch, else None.
    client_headers: User-Agent, Referer, Accept-Language and X-Forwarded-For where they are there, names in lower case.
    """

    def __init__(self, raw_head: bytes, body: bytes | None, peer: str) -> None:
        self.raw_head = raw_head
        self.body = body
        self.peer = peer
        self.path, self.query = split_target(request_of(raw_head)[1])
        self.client_headers: dict[bytes, bytes] = {}
        for name, value in _client_headers(raw_head):
            self._take_header(name.lower(), value.strip(b" \t"))

    def _take_header(self, name: bytes, value: bytes) -> None:
        """RFC 9110 section 5.3: a list spread over several lines is one list; of other headers the first counts."""
        known = self.client_headers.get(name)
        if known is None:
            self.client_headers[name] = value
        elif name == b"x-forwarded-for":
            self.client_headers[name] = known + b"," + value

    @cached_property
    def head(self) -> Head:
        """The whole head, for families that need another header; costs as much as all the rest."""
        return parse_head(self.raw_head)

    def header_text(self, name: bytes) -> str | None:
        """One of the client's headers as text; None where it is missing or empty."""
        value = self.client_headers.get(name)
        return value.decode("utf-8", "replace") if value else None


def unescaped(text: str) -> str | None:
    """A query's name or value, decoded: `+` is a space, UTF-8 that does not read is U+FFFD; None for a broken escape.

    Where there is anything to decode, Python's own unicode_escape codec does it: a third of `unquote_plus`'s time on a
    URL with 9 escapes (1.1 against 3.9 us, timeit, CPython 3.11), and it refuses what is no escape.
    """
    if "%" not in text:
        return text.replace("+", " ")
    escaped = text.replace("+", " ").replace("\\", "\\\\").replace("%", "\\x")
    try:
        plain = escaped.encode().decode("unicode_escape")  # one character a byte
    except UnicodeDecodeError:
        return None
    return plain if plain.isascii() else plain.encode("latin-1").decode("utf-8", "replace")


def pairs(query: bytes) -> Iterator[tuple[str, str, str | None]]:
    """Name, value as it was sent, and value decoded (None: a broken escape), in order; empty pairs are skipped."""
    for pair in query.decode("utf-8", "replace").split("&"):
        if pair:
            name, _, value = pair.partition("=")
            if "%" in name or "+" in name:
                name = unescaped(name) or name
            yield name, value, unescaped(value)


def keep(params: dict[str, Any], name: str, value: Any) -> None:
    """Keep a value under its name; what comes several times becomes a list, in order."""
    if name not in params:
        params[name] = value
    elif type(params[name]) is list:
        params[name].append(value)
    else:
        params[name] = [params[name], value]


def milliseconds_us(value: float) -> int | None:
    """A client's milliseconds since 1970 as microseconds; None outside 2000 to 2099."""
    return sane_us(round(value * 1000)) if abs(value) < CLIENT_TIME_MAX_US else None


def milliseconds_text_us(text: str) -> int | None:
    """The same for digits, with a fraction or without; None for any other text."""
    if _milliseconds(text) is None:
        return None
    return milliseconds_us(float(text) if "." in text else int(text))


def sane_us(time_us: int) -> int | None:
    """The time, unless it lies outside 2000 to 2099: then it was a wrong clock's, or no time at all."""
    return time_us if CLIENT_TIME_MIN_US <= time_us < CLIENT_TIME_MAX_US else None
