"""Plain: which heads ask for nothing special, so that a pixel's answer is known before anyone parses it.

All of a head but its method and target comes again with each hit of a browser, and is the same for many browsers of a
site. llhttp judges it, with one cheap look at what llhttp does not check; then it is known by its bytes, as long as
there is room for more. Measured (CPython 3.11, 512 browsers' heads of 590 bytes behind the target): 0.1 us to find one
known, 0.6 us for llhttp alone, 1.6 us for a judgement; with a callback a header it was 3.6 us.

It is found by its checksum, and then compared: a dictionary of the bytes themselves takes 0.2 us, since Python's hash
of them is dearer. Whoever makes two heads of one checksum has them judged in turn, and gains nothing.

Called by protocol.py for each chunk. Must not guess: what llhttp or the reference app could treat otherwise is special.
"""

import re
from itertools import count
from types import SimpleNamespace
from typing import Final

import httptools
from isal.isal_zlib import crc32

from collector.hit import HEAD_BYTES_MAX, HEADERS_MAX, TARGET_BYTES_MAX
from collector.pixel import THEN_CLOSE

SPECIAL: Final = -1
KEEP: Final = 0
PLAIN_BYTES_MAX: Final = 8 * 1024  # a browser's are below 1 KiB, with cookies 2; a site's whole jar of them may be more
LEARNT_BYTES_MAX: Final = 4 * 1024  # what is longer is judged each time
KNOWN_MAX: Final = 2048  # so 8 MiB at the very most
JUDGED_MAX: Final = 64 * KNOWN_MAX
"""After so many judgements all is forgotten and learned anew: who was known may be gone. Until then what is full stays
as it is, because forgetting and learning at each hit of many browsers costs more than it saves."""
if PLAIN_BYTES_MAX + TARGET_BYTES_MAX > HEAD_BYTES_MAX:  # not `assert`: python -O would drop it
    raise ValueError("a plain head with the longest target must be within a head's limit")

_BEFORE: Final = b"GET / "
_hosts = re.compile(rb"\n[Hh][Oo][Ss][Tt]:").findall  # 0.1 us less than a lower-case copy and its count()
_LINES_MAX: Final = HEADERS_MAX + 2  # the version's and the empty one


class PlainHeads:
    """What follows a request's target -> KEEP, or THEN_CLOSE where the client wants the connection closed.

    known: by the checksum (crc32) of its bytes, what `judge` has found plain: these bytes and their kind. Another head
    may have the same checksum, so compare before you believe it.
    """

    __slots__ = ("_begun", "_kind", "_parser", "_told", "_unlearned", "known")

    def __init__(self) -> None:
        self.known: dict[int, tuple[bytes, int]] = {}
        self._unlearned = 0
        self._renew()

    def _renew(self) -> None:
        """Have a parser that stands between two messages."""
        # Called as it is, without a Python frame: a method of our own costs 0.2 us.
        self._begun = count().__next__
        heard = SimpleNamespace(on_message_begin=self._begun, on_message_complete=self._on_message_complete)
        self._parser = httptools.HttpRequestParser(heard)
        self._told = 0  # what `_begun` shows next while the parser stands between two messages
        self._kind = SPECIAL

    def _on_message_complete(self) -> None:
        # Asked here, since llhttp forgets it with the message.
        self._kind = KEEP if self._parser.should_keep_alive() else THEN_CLOSE

    def judge(self, rest: bytes) -> int:
        """KEEP or THEN_CLOSE for one whole head without a body; SPECIAL for everything else.

        rest: a chunk from behind the space that ends the target.
        """
        if len(rest) > PLAIN_BYTES_MAX or not rest.startswith(b"HTTP/1.1\r\n") or not rest.endswith(b"\r\n\r\n"):
            return SPECIAL
        # RFC 9112 section 3.2: exactly one Host. A name stands at the start of a line and is not case-sensitive; llhttp
        # takes no space before its colon. The reference path counts headers and Hosts too, and says what is wrong.
        if len(_hosts(rest)) != 1 or rest.count(b"\n") > _LINES_MAX or rest[-5:-4] == b"\n":
            return SPECIAL
        kind = self._parse(rest)
        if kind != SPECIAL:
            self._learn(rest, kind)
        return kind

    def _parse(self, rest: bytes) -> int:
        """Have llhttp read it: SPECIAL unless it is one message, whole, that neither goes on nor upgrades."""
        self._kind = SPECIAL
        try:
            self._parser.feed_data(_BEFORE + rest)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._renew()
            return SPECIAL
        kind = self._kind
        is_one = self._begun() == self._told + 1  # asking moves it, too: each message moves it by two
        self._told += 2
        if kind != KEEP or not is_one:  # llhttp is in the midst of something, or takes nothing behind a `close`
            self._renew()
        return kind if is_one else SPECIAL

    def _learn(self, rest: bytes, kind: int) -> None:
        if len(rest) > LEARNT_BYTES_MAX:
            return
        if len(self.known) < KNOWN_MAX:
            self.known[crc32(rest)] = rest, kind
            return
        self._unlearned += 1
        if self._unlearned >= JUDGED_MAX:
            self._unlearned = 0
            self.known.clear()
