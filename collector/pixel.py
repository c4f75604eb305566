"""Pixel: the 43-byte GIF and every answer whose bytes are known before the hit is.

Called by protocol.py, which writes prebuilt bytes, and by app.py, which sends the same headers through uvicorn; a test
holds the two to each other byte for byte. Must not look at a verdict: an answer is the same whatever it was (I2).
"""

from http import HTTPStatus
from typing import Final

from uvicorn.server import ServerState

Headers = list[tuple[bytes, bytes]]

GIF: Final = bytes.fromhex(
    "474946383961"  # GIF89a
    "0100010080000000000000000021"  # 1 x 1, two colours, both black
    "f9040100000000"  # the first of them transparent
    "2c000000000100010000"  # one image, the whole canvas
    "02024401003b"  # its single pixel, LZW, trailer
)
if len(GIF) != 43:  # not `assert`: python -O would drop it
    raise ValueError(f"the pixel must be 43 bytes, it is {len(GIF)}")

RETRY_AFTER_SECONDS: Final = 5  # a disk is not emptied in one; trackers back off by themselves beyond it
COMMON_HEADERS: Final[Headers] = [
    (b"cache-control", b"no-store, no-cache, must-revalidate, private"),
    (b"access-control-allow-origin", b"*"),
    (b"cross-origin-resource-policy", b"cross-origin"),
    (b"x-content-type-options", b"nosniff"),
]
PIXEL_HEADERS: Final[Headers] = [
    (b"content-type", b"image/gif"),
    (b"content-length", b"43"),
    *COMMON_HEADERS,
]
UNAVAILABLE_BODY: Final = b"hits cannot be kept at the moment"
UNAVAILABLE_HEADERS: Final[Headers] = [
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"content-length", b"%d" % len(UNAVAILABLE_BODY)),
    (b"retry-after", b"%d" % RETRY_AFTER_SECONDS),
    (b"access-control-expose-headers", b"retry-after"),  # without it a script in a page cannot read the header
    *COMMON_HEADERS,
]
CLOSE: Final = (b"connection", b"close")
CROWDED: Final = (503, "Too many connections.", (b"retry-after", b"%d" % RETRY_AFTER_SECONDS))

HEAD_ONLY: Final = 1
THEN_CLOSE: Final = 2


def encode_answer(status: int, headers: Headers, body: bytes) -> bytes:
    """An HTTP/1.1 answer as uvicorn writes one: names as given, nothing added."""
    lines = [b"HTTP/1.1 %d %b\r\n" % (status, HTTPStatus(status).phrase.encode())]
    lines.extend(b"%b: %b\r\n" % header for header in headers)
    return b"".join((*lines, b"\r\n", body))


def encode_fault(status: int, default_headers: Headers, reason: str, *headers: tuple[bytes, bytes]) -> bytes:
    """The answer to what is refused before any app sees it; the connection closes after it. uvicorn's own 400, widened.

    reason: ASCII, ours: nothing of the request is repeated.
    """
    body = reason.encode("ascii")
    fixed = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body)), *headers, CLOSE]
    return encode_answer(status, default_headers + fixed, body)


class PixelAnswers:
    """A server's pixel answers, made ahead; `remake` when uvicorn has put a new date into its default headers.

    kept, refused: the 200 and the 503, each indexed by HEAD_ONLY | THEN_CLOSE.
    made_from: the default headers they carry; another list than the server's means they are stale.
    """

    __slots__ = ("kept", "made_from", "refused")

    def __init__(self) -> None:
        self.made_from: Headers | None = None
        self.kept: list[bytes] = []
        self.refused: list[bytes] = []

    def remake(self, state: ServerState) -> None:
        """Take the server's default headers over."""
        self.made_from = state.default_headers
        self.kept = _variants(200, self.made_from + PIXEL_HEADERS, GIF)
        self.refused = _variants(503, self.made_from + UNAVAILABLE_HEADERS, UNAVAILABLE_BODY)


def _variants(status: int, headers: Headers, body: bytes) -> list[bytes]:
    return [
        encode_answer(status, [*headers, CLOSE] if kind & THEN_CLOSE else headers, b"" if kind & HEAD_ONLY else body)
        for kind in range(HEAD_ONLY + THEN_CLOSE + 1)
    ]
