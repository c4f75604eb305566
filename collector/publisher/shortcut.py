"""Shortcut: pieces of an event's JSON straight from a plain pixel hit, without an `Event` between.

Called by `messages.py` for each record. What is joined from these pieces is what `event_of(record).encode()` would
write; where a piece is None only that way can tell, and is taken: it is the reference, and property tests hold the two
to each other. Plain is what the snippet sends: its parameters in its order, more behind them, no name twice, no broken
escape.

What makes it cheap: one regular expression reads the request line, and what repeats is remembered: a browser's headers
but for Referer and cookies, the address of a page, the parameters behind the snippet's. The caches are bounded in
entries and in what they take in; values are looked at byte by byte only as they enter one.
"""

import re
from functools import lru_cache
from typing import Final, NamedTuple

import orjson

from collector.batch import WRITE_KEY_BYTES_MAX
from collector.event import time_text
from collector.refine import language_of
from collector.trackers.request import CLIENT_TIME_MAX_US, unescaped

BROWSERS_CACHED: Final = 8192
BROWSER_BYTES_MAX: Final = 1024
"""Of one entry; browsers send 300 to 700 bytes here. 8192 of them are 8 MB."""

TEXTS_CACHED: Final = 16_384
TEXT_BYTES_MAX: Final = 384
"""Of one entry, percent-encoded; with what it decodes to, 16,384 entries are 14 MB at the very most."""

CLIENT_MS_END: Final = b"4102444800000"
"""Where believable client times end, in as many digits as the snippet sends."""

plain_hit = re.compile(
    rb"(?:GET|POST|HEAD) /p/([A-Za-z0-9_-]{1,%d})\.gif\?e=([^&]*)&u=([^&]*)(?:&r=([^&]*))?&v=([^&]*)(?:&uid=([^&]*))?"
    rb"&t=([0-9]{13})(?:&([^ ]*))? HTTP/1\.[01](?=\r\n)" % WRITE_KEY_BYTES_MAX
).match
"""Key, then the values of e, u, r, v, uid, t, then what follows; values hold anything but "&": each is looked at."""

# Printable ASCII that JSON writes as it is, without the space, "#" (a fragment) and "&" (which parts a query).
_is_safe = re.compile(rb"[!$%'-\[\]-~]*").fullmatch
_headers = re.compile(
    rb"\r\n(user-agent|referer|accept-language|x-forwarded-for):([^\r]*)", re.IGNORECASE
).findall  # as `trackers/request.py` reads them
_KNOWN: Final = frozenset((b"e", b"u", b"r", b"v", b"uid", b"t"))
_NULL: Final = b"null"
_REFERER, _COOKIE = b"\r\nReferer: ", b"\r\nCookie: "


class Browser(NamedTuple):
    """What headers say. client: JSON from `user_agent` up to the inside of `params`. forwarded: X-Forwarded-For.

    referer: JSON of a Referer that is written as no browser writes it; None where there is none.
    """

    client: bytes
    referer: bytes | None
    forwarded: bytes | None


def visitor_text(visitor: bytes) -> bool:
    """Whether a visitor stands for itself, in JSON and in a Kafka key."""
    return visitor.isalnum() or (_is_safe(visitor) is not None and b"%" not in visitor and b"+" not in visitor)


@lru_cache(maxsize=TEXTS_CACHED)
def value_json(text: bytes) -> bytes | None:
    """JSON of a parameter's value, null where it is empty; None where it must be read by the reference."""
    if not text:
        return _NULL
    if len(text) > TEXT_BYTES_MAX or not _is_safe(text):
        return None
    if b"%" not in text and b"+" not in text:
        return b'"%b"' % text
    plain = unescaped(text.decode("ascii"))
    return None if plain is None else orjson.dumps(plain)


@lru_cache(maxsize=TEXTS_CACHED)
def params_json(more: bytes) -> bytes | None:
    """JSON of the parameters behind the snippet's, without its braces; None where a name is repeated or its own."""
    if len(more) > TEXT_BYTES_MAX:
        return None
    names, written = set(), []
    for pair in more.split(b"&"):
        if not pair:
            continue
        name, _, value = pair.partition(b"=")
        json = value_json(value) if value else b'""'
        if json is None or not visitor_text(name or b"a") or name in _KNOWN or name in names:
            return None
        names.add(name)
        written.append(b'"%b":%b' % (name, json))
    return b",".join(written)


def browser_of(headers: bytes) -> tuple[bytes, Browser] | None:
    """JSON of the Referer, and what else the headers (from the request line's CRLF on) say; None for the reference.

    Referer and Cookie differ from page to page, from visitor to visitor: they are cut out, the rest is remembered.
    """
    headers, found, rest = headers.partition(_REFERER)
    referer = None
    if found:
        referer, end, rest = rest.partition(b"\r")
        if not end:
            return None
        headers += end + rest
    before, found, rest = headers.partition(_COOKIE)
    if found:
        _, end, rest = rest.partition(b"\r")
        if not end:
            return None
        headers = before + end + rest
    if len(headers) > BROWSER_BYTES_MAX:
        return None
    browser = _browser(headers)
    if referer is None:
        return browser.referer or _NULL, browser
    if browser.referer is not None or len(referer) > TEXT_BYTES_MAX:  # two of them: the first counts, whichever it is
        return None
    return header_json(referer), browser


@lru_cache(maxsize=TEXTS_CACHED)
def header_json(value: bytes) -> bytes:
    """JSON of a header's value; null where it is empty."""
    value = value.strip(b" \t")
    return orjson.dumps(value.decode("utf-8", "replace")) if value else _NULL


@lru_cache(maxsize=BROWSERS_CACHED)
def _browser(headers: bytes) -> Browser:
    found: dict[bytes, bytes] = {}
    for name, value in _headers(headers):
        lower = name.lower()
        if lower not in found:
            found[lower] = value.strip(b" \t")
        elif lower == b"x-forwarded-for":
            found[lower] += b"," + value.strip(b" \t")
    languages = found.get(b"accept-language")
    language = language_of(languages.decode("utf-8", "replace")) if languages else None
    agent = header_json(found.get(b"user-agent", b""))
    client = b',"user_agent":%b,"language":%b,"params":{' % (agent, orjson.dumps(language))
    referer = header_json(found[b"referer"]) if b"referer" in found else None
    return Browser(client, referer, found.get(b"x-forwarded-for"))


@lru_cache(maxsize=4096)
def second_text(seconds: bytes) -> bytes:
    """A second since 1970 as a time on the wire begins: up to its point."""
    return time_text(int(seconds) * 1_000_000)[:20].encode()


if b"%d" % (CLIENT_TIME_MAX_US // 1000) != CLIENT_MS_END:
    raise ValueError(f"believable client times end at {CLIENT_TIME_MAX_US} us")
