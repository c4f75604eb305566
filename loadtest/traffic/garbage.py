"""What else comes in on a public port: bots, scanners, broken clients - and what each of them must be answered.

Each probe is one request's bytes with the answer that the pixel's documentation promises, and what must be counted.
An answer that is another than the one promised is a failure, so a server that is too lenient is found as well.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final, Literal

Counted = Literal["hit", "malformed", "nothing"]

AGENTS: Final = (
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
    "curl/8.5.0",
    "python-requests/2.32.3",
    "Go-http-client/1.1",
    "Wget/1.21.4",
    "masscan/1.3",
    "() { :; }; /bin/true",
    "-",
)
HEAD_BYTES_TOO_MANY: Final = 20 * 1024
HEADERS_TOO_MANY: Final = 120
TARGET_BYTES_TOO_MANY: Final = 9000


@dataclass(frozen=True, slots=True)
class Probe:
    """One request as sent, the status that must come back, what must be counted, and whether a body must follow."""

    name: str
    request: bytes
    status: int
    counted: Counted
    gif: bool = False


Maker = Callable[[Random, bytes, bytes], Probe]


def _lines(first: bytes, *headers: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join((first, *headers)) + b"\r\n\r\n" + body


def _hit(name: str, first: str, *headers: str, gif: bool = True, status: int = 200) -> Maker:
    def make(_: Random, key: bytes, common: bytes) -> Probe:
        line = first.encode("latin-1").replace(b"KEY", key)
        request = _lines(line, common, *(header.encode("latin-1") for header in headers))
        return Probe(name, request, status, "hit", gif)

    return make


def _refused(name: str, status: int, first: bytes, *headers: bytes, body: bytes = b"", common: bool = True) -> Maker:
    def make(_: Random, key: bytes, host: bytes) -> Probe:
        lines = (host, *headers) if common else headers
        counted: Counted = "nothing" if status in {204, 404, 405} else "malformed"
        return Probe(name, _lines(first.replace(b"KEY", key), *lines, body=body), status, counted)

    return make


def _noise(random: Random, _key: bytes, _common: bytes) -> Probe:
    """Bytes of no protocol: the first is no letter, so no server may take it for a method."""
    noise = bytes([random.randrange(1, 9)]) + random.randbytes(random.randrange(8, 200)).replace(b"\n", b"!")
    return Probe("noise", noise + b"\r\n\r\n", 400, "malformed")


def _unknown_key(random: Random, _key: bytes, common: bytes) -> Probe:
    made_up = f"{random.getrandbits(128):032x}"
    return Probe("unknown key", _lines(f"GET /p/{made_up}.gif HTTP/1.1".encode(), common), 200, "hit", gif=True)


MAKERS: Final[tuple[tuple[int, Maker], ...]] = (  # how often of all
    (30, _hit("GET without cookies", "GET /p/KEY.gif?e=page_view HTTP/1.1")),
    (10, _hit("HEAD", "HEAD /p/KEY.gif?e=preview HTTP/1.1", gif=False)),
    (5, _hit("POST without a body", "POST /p/KEY.gif?e=beacon HTTP/1.1", "Content-Length: 0")),
    (5, _hit("HTTP/1.0", "GET /p/KEY.gif HTTP/1.0")),
    (8, _hit("bad percent encoding", "GET /p/KEY.gif?u=%zz%&t=abc&%=%u20ac&=&&& HTTP/1.1")),
    (3, _hit("odd key", "GET /p/%00%0d%0a.gif HTTP/1.1")),
    (5, _hit("no key", "GET /p.gif HTTP/1.1")),
    (3, _hit("websocket", "GET /p/KEY.gif HTTP/1.1", "Connection: upgrade", "Upgrade: websocket")),
    (8, _unknown_key),
    (6, _refused("scanner", 404, b"GET /wp-login.php HTTP/1.1")),
    (3, _refused("robots.txt", 404, b"GET /robots.txt HTTP/1.1")),
    (3, _refused("dots", 404, b"GET /p/../../etc/passwd HTTP/1.1")),
    (3, _refused("PUT", 405, b"PUT /p/KEY.gif HTTP/1.1", b"Content-Length: 0")),
    (2, _refused("DELETE", 405, b"DELETE /p/KEY.gif HTTP/1.1")),
    (2, _refused("OPTIONS", 204, b"OPTIONS /p/KEY.gif HTTP/1.1")),
    (3, _refused("POST with a body", 400, b"POST /p/KEY.gif HTTP/1.1", b"Content-Length: 2", body=b"hi")),
    (2, _refused("no Host", 400, b"GET /p/KEY.gif HTTP/1.1", common=False)),
    (2, _refused("two Hosts", 400, b"GET /p/KEY.gif HTTP/1.1", b"Host: another.example")),
    (2, _refused("control byte in a header", 400, b"GET /p/KEY.gif HTTP/1.1", b"X: a\x01b")),
    (2, _refused("raw bytes in the target", 400, b"GET /p/KEY.gif?u=\xff\xfe HTTP/1.1")),
    (2, _refused("huge head", 431, b"GET /p/KEY.gif HTTP/1.1", b"X: " + b"y" * HEAD_BYTES_TOO_MANY)),
    (2, _refused("120 headers", 431, b"GET /p/KEY.gif HTTP/1.1",
                 *(b"X-%d: y" % at for at in range(HEADERS_TOO_MANY)))),
    (2, _refused("long target", 414, b"GET /p/KEY.gif?" + b"x" * TARGET_BYTES_TOO_MANY + b" HTTP/1.1")),
    (2, _refused("two lengths", 400, b"POST /p/KEY.gif HTTP/1.1", b"Content-Length: 4", b"Transfer-Encoding: chunked",
                 body=b"0\r\n\r\n")),
    (2, _refused("broken JSON", 400, b"POST /v1/events HTTP/1.1", b"Content-Type: application/json",
                 b"Content-Length: 5", body=b'{"a":')),
    (2, _refused("TLS hello", 400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 60, common=False)),
    (1, _refused("HTTP/2 preface", 400, b"PRI * HTTP/2.0", common=False, body=b"SM\r\n\r\n")),
    (3, _noise),
)  # fmt: skip


def probe(random: Random, key: str, host: str) -> Probe:
    """Draw a probe. key: a write key that is known; host: the collector's."""
    maker = random.choices([maker for _, maker in MAKERS], [weight for weight, _ in MAKERS])[0]
    return maker(random, key.encode(), f"Host: {host}\r\nUser-Agent: {random.choice(AGENTS)}".encode())


def every(random: Random, key: str, host: str) -> list[Probe]:
    """Write each probe once, in the table's order."""
    return [maker(random, key.encode(), f"Host: {host}\r\nUser-Agent: {AGENTS[0]}".encode()) for _, maker in MAKERS]
