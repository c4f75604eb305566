"""What the peers answer: the 43-byte transparent GIF under the headers a pixel needs, as one constant."""

from typing import Final

GIF: Final = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00"
    b",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)
HEADERS: Final = (
    (b"content-type", b"image/gif"),
    (b"content-length", b"%d" % len(GIF)),
    (b"cache-control", b"no-store, no-cache, must-revalidate, private"),
    (b"cross-origin-resource-policy", b"cross-origin"),
)


def is_pixel(body: bytes) -> bool:
    """Tell whether a body is a GIF of a pixel's size: which 43 bytes differs, nginx's own GIF is another than ours."""
    return len(body) == len(GIF) and body.startswith(b"GIF89a")


def answer(*, close: bool) -> bytes:
    """The whole response for a server that parses nothing; with `close`, it says that it ends the connection."""
    headers = HEADERS + (((b"connection", b"close"),) if close else ())
    return b"HTTP/1.1 200 OK\r\n" + b"".join(b"%s: %s\r\n" % header for header in headers) + b"\r\n" + GIF
