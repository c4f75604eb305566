"""Explain: what would become of a request, told without sending it.

Called by `pixelgate explain`. It asks the same code that a hit meets (hit, batch, refine, lifecycle) and the ledger
that settlement asks; nothing is sent, counted or kept. A write key is shown in full, since whoever asks typed it.
"""

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httptools
import orjson

from collector.addresses import Addresses
from collector.batch import BatchMalformed, parse_events
from collector.event import rfc3339_us, time_text
from collector.hit import (
    EVENTS_PATH,
    HEAD_BYTES_MAX,
    HEADERS_MAX,
    TARGET_BYTES_MAX,
    Head,
    host_fault,
    is_pixel_path,
    key_of,
    parse_head,
)
from collector.journal.format import Record
from collector.outcome import Outcome
from collector.refine import event_of
from deploy.errors import Misused
from deploy.ruling import Judge, Ruling
from gating.clock import Clock
from gating.config import LedgerSettings
from gating.datadir import DataDirectory
from gating.status import Verdict

KEPT_AS: Final = {Verdict.ACCEPT: Outcome.ACCEPTED, Verdict.HIDE: Outcome.HIDDEN}
NO_JOURNAL: Final = "0" * 32
PEER: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Parsed:
    """A request as the collector would read it. `hits`: write key and, of a batch, the event's JSON."""

    head: bytes
    answer: int
    route: str
    why: str
    hits: tuple[tuple[bytes, bytes | None], ...] = ()


def explain_request(directory: DataDirectory, text: str, at: str | None) -> dict[str, Any]:
    """Tell what would become of a URL, a path or a raw request at a time. Raises Misused, Unreachable."""
    at_us = Clock().now_us() if at is None else time_of(at)
    raw = raw_request(text)
    parsed = parse(raw)
    head = parse_head(parsed.head)
    answer: dict[str, Any] = {
        "at": time_text(at_us),
        "method": head.method.decode("latin-1"),
        "path": head.path.decode("latin-1"),
        "route": parsed.route,
        "answer": parsed.answer,
        "why": parsed.why,
    }
    with Judge.open(directory, LedgerSettings().database_url) as judge:
        hits = [explain_hit(parsed.head, key, body, judge.rule(key, at_us), at_us) for key, body in parsed.hits]
    if len(hits) == 1:
        return {**answer, **hits[0]}
    return {**answer, "hits": hits} if hits else {**answer, "outcome": Outcome.MALFORMED.name.lower(), "verdict": None}


def explain_hit(head: bytes, key: bytes, body: bytes | None, ruling: Ruling, at_us: int) -> dict[str, Any]:
    """One hit: whose it is, what holds for it and why, and the event that would be kept of it."""
    kept = ruling.verdict in KEPT_AS
    event = None
    if kept:
        record = Record(0, at_us, ruling.verdict, True, ruling.version, ruling.account, PEER, head, body)
        event = orjson.loads(event_of(record, NO_JOURNAL, Addresses()).encode())
        del event["id"], event["ip"]  # given by the collector to a real hit alone
    return {
        "write_key": key.decode("utf-8", "replace") or None,
        "source": ruling.source,
        "account": ruling.account or None,
        "rulebook": ruling.rulebook,
        "status": ruling.status,
        "verdict": ruling.verdict.name,
        "access": ruling.access,
        "outcome": (KEPT_AS[ruling.verdict] if kept else ruling.drop).name.lower(),
        "version": ruling.version,
        "rule": ruling.rule,
        "because": ruling.because,
        "event": event,
    }


def time_of(text: str) -> int:
    """Microseconds UTC of an RFC 3339 time. Raises Misused."""
    try:
        return rfc3339_us(text)
    except ValueError as error:
        raise Misused(f"--at {text!r} does not read: write it as 2026-03-01T12:00:00Z") from error


def raw_request(text: str) -> bytes:
    """The bytes that a client would send: of a URL or a path a GET, of a raw request what is written there."""
    first = text.lstrip().partition("\n")[0].strip()
    if " " in first:
        head, _, body = text.lstrip().replace("\r\n", "\n").partition("\n\n")
        return head.rstrip("\n").replace("\n", "\r\n").encode() + b"\r\n\r\n" + body.encode()
    parts = urlsplit(first)
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    if not target.startswith("/"):
        raise Misused(f"{first[:100]!r} is neither a URL nor a path nor a request: write it as http://HOST/p/KEY.gif")
    return f"GET {target} HTTP/1.1\r\nHost: {parts.netloc or 'localhost'}\r\n\r\n".encode()


def parse(raw: bytes) -> Parsed:
    """Read a request as the collector does, limits included."""
    head, _, body = raw.partition(b"\r\n\r\n")
    head += b"\r\n\r\n"
    read = parse_head(head)
    if refused := _refused(head, read):
        return Parsed(head, refused[0], "none", refused[1])
    if is_pixel_path(read.path):
        if read.method not in (b"GET", b"HEAD", b"POST"):
            return Parsed(head, 405, "pixel", "a pixel takes GET, HEAD and POST")
        if body:
            return Parsed(head, 400, "pixel", "a pixel's POST has no body")
        return Parsed(head, 200, "pixel", "a pixel", ((key_of(read.path, read.query) or b"", None),))
    if read.path == EVENTS_PATH:
        return _parse_batch(head, read, body)
    return Parsed(head, 404, "none", "no route of the collector's for hits")


def _parse_batch(head: bytes, read: Head, body: bytes) -> Parsed:
    if read.method != b"POST":
        return Parsed(head, 405, "events", "events are taken by POST")
    headers = dict(reversed(read.headers))
    try:
        hits = parse_events(body, headers.get(b"content-encoding", b""), headers.get(b"authorization", b""))
    except BatchMalformed as error:
        return Parsed(head, error.http_status, "events", str(error))
    return Parsed(head, 202, "events", f"a batch of {len(hits)}", tuple(hits))


def _refused(head: bytes, read: Head) -> tuple[int, str] | None:
    """Status and reason of what never reaches a route."""
    if len(head) > HEAD_BYTES_MAX or len(read.headers) > HEADERS_MAX:
        return 431, f"a head has at most {HEAD_BYTES_MAX} bytes and {HEADERS_MAX} headers"
    if len(read.target) > TARGET_BYTES_MAX:
        return 414, f"a target has at most {TARGET_BYTES_MAX} bytes"
    parser = httptools.HttpRequestParser(object())
    try:
        parser.feed_data(head)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError as error:
        return 400, f"no HTTP request: {error}"
    fault = host_fault(read.headers, parser.get_http_version())
    return (400, fault) if fault else None
