"""Plain: which heads ask for nothing special, so that a pixel's answer is known before anyone parses it.

All of a head but its method and target comes again with each hit of a browser, and is the same for many browsers of a
site. llhttp and `hit.host_fault` judge it once; then it is known, by its bytes. Measured (CPython 3.11, a 778-byte
head): 0.16 us to find it known, 0.57 us for llhttp alone, 1.2 us with a callback a header, 4 us the whole judgement.

Called by protocol.py for each chunk. Must not guess: what llhttp or the reference app could treat otherwise is special.
"""

from typing import Final

import httptools

from collector.hit import HEAD_BYTES_MAX, HEADERS_MAX, TARGET_BYTES_MAX, Header, host_fault
from collector.pixel import THEN_CLOSE

SPECIAL: Final = -1
KEEP: Final = 0
PLAIN_BYTES_MAX: Final = 4 * 1024  # a browser's are below 1 KiB, with cookies 2
KNOWN_MAX: Final = 2048  # so 8 MiB at the very most; full, it is emptied, which costs each browser one judgement
if PLAIN_BYTES_MAX + TARGET_BYTES_MAX > HEAD_BYTES_MAX:  # not `assert`: python -O would drop it
    raise ValueError("a plain head with the longest target must be within a head's limit")

_SPECIAL_NAMES: Final = frozenset({b"expect", b"upgrade", b"transfer-encoding"})
_SPACE_BEFORE: Final = b"GET / "


class PlainHeads:
    """What follows a request's target -> KEEP, or THEN_CLOSE where the client wants the connection closed.

    known: only what `judge` has found plain.
    """

    def __init__(self) -> None:
        self.known: dict[bytes, int] = {}
        self._headers: list[Header] = []
        self._kind = SPECIAL
        self._parser = httptools.HttpRequestParser(self)

    def judge(self, rest: bytes) -> int:
        """KEEP or THEN_CLOSE, remembered, for one whole head without a body; SPECIAL for everything else.

        rest: a chunk from behind the space that ends the target.
        """
        if len(rest) > PLAIN_BYTES_MAX or rest[:10] != b"HTTP/1.1\r\n" or rest.find(b"\r\n\r\n") != len(rest) - 4:
            return SPECIAL
        kind = self._listen(_SPACE_BEFORE + rest)
        if kind == SPECIAL:
            return SPECIAL
        if len(self._headers) > HEADERS_MAX or host_fault(self._headers) is not None:
            return SPECIAL
        if not _SPECIAL_NAMES.isdisjoint([name for name, _ in self._headers]):
            return SPECIAL
        if len(self.known) >= KNOWN_MAX:
            self.known.clear()
        self.known[rest] = kind
        return kind

    def _listen(self, head: bytes) -> int:
        """Have llhttp read a head: how its connection goes on, or SPECIAL where it ends elsewhere than the head."""
        if self._kind != KEEP:  # it broke off in the midst of a message, or takes nothing more
            self._parser = httptools.HttpRequestParser(self)
        self._headers.clear()
        self._kind = SPECIAL
        try:
            self._parser.feed_data(head)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            return SPECIAL
        return self._kind

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_message_complete(self) -> None:
        """Not reached where a body is announced."""
        self._kind = KEEP if self._parser.should_keep_alive() else THEN_CLOSE
