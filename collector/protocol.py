"""Protocol: the fast path. A plain pixel joins this tick's group; all else is handed over.

uvicorn makes one for each connection (`http=`, see `protocol_class`). The fast path takes a chunk that is exactly one
pixel request that asks for nothing special (plain.py); everything else goes, bytes and all, to uvicorn's own protocol
behind us (reference.py), whose pixel route must agree with the fast path on every input. The order of answers, the
limits and the time-outs are connection.py's, in front of both.

The fast path may not await, do I/O, log, or let anything outlive the tick unbounded (I3).
"""

import re
from typing import ClassVar, Final

from isal.isal_zlib import crc32

from collector.connection import ENDING, FREE, HANDED, LEAVING, PENDING, Connection
from collector.group import Group
from collector.hit import TARGET_BYTES_MAX, WRITE_KEY_BYTES_MAX
from collector.limits import Limits
from collector.metrics import Counters
from collector.pixel import HEAD_ONLY, THEN_CLOSE, PixelAnswers
from collector.plain import PlainHeads
from collector.wheel import Wheel

# A pixel's request line up to the space behind its target. What llhttp and uvicorn's URL parser take as it stands is
# printable ASCII without "#": of a line of such bytes the table below changes nothing. All of it in the expression cost
# 0.1 us more, a fifth of the line's time. The tests hold the two to llhttp, to the URL parser and to `hit.key_of`.
_pixel_line = re.compile(
    rb"(?:GET|POST|HEAD) /p/([A-Za-z0-9_-]{1,%d})\.gif(?:\?[^ ]{0,%d})? "
    % (WRITE_KEY_BYTES_MAX, TARGET_BYTES_MAX - WRITE_KEY_BYTES_MAX - len(b"/p/.gif?"))
).match
_as_it_stands: Final = bytes(byte if 0x20 <= byte < 0x7F and byte != ord("#") else byte ^ 1 for byte in range(256))
_H: Final = ord("H")


class PixelProtocol(Connection):
    """One connection. Of no use by itself: `protocol_class` adds a worker's fast path."""

    __slots__ = ("_answer_kind",)
    _answers: ClassVar[PixelAnswers]
    _answer_kind: int

    def _finish(self, kept: bool) -> None:
        """Answer a hit that has something else to it: a 503, a connection that ends, or bytes held back."""
        if self._phase >= ENDING:
            return
        state, answers = self._state, self._answers
        state.total_requests += 1
        if answers.made_from is not state.default_headers:
            answers.remake(state)
        kind = self._answer_kind
        if self._phase == LEAVING and not self._held:
            kind |= THEN_CLOSE
        self._stage = HANDED
        self.transport.write((answers.kept if kept else answers.refused)[kind])
        if kind & THEN_CLOSE:  # RFC 9112 section 9.6: nothing after a `close` is processed
            self._close()
        else:
            self._go_on()


def protocol_class(
    *, group: Group, counters: Counters, wheel: Wheel, limits: Limits | None = None
) -> type[PixelProtocol]:
    """One worker's protocol, for uvicorn's `http=`: its connections share these, and nothing with another worker.

    The fast path stands in here because a name of the function around it costs 4 ns, an attribute of the class 35.
    """
    plain, answers = PlainHeads(), PixelAnswers()
    known_by, judge, join_tick = plain.known.get, plain.judge, group.add

    class WorkerProtocol(PixelProtocol):
        __slots__ = ()
        _answers = answers
        _counters = counters
        _limits = limits or Limits()
        _wheel = wheel

        def data_received(self, chunk: bytes) -> None:
            """Take one plain pixel into the tick's group; hand everything else over."""
            if not self._stage:
                found = _pixel_line(chunk)
                if found is not None and (line := found[0]).translate(_as_it_stands) == line:
                    rest = chunk[len(line) :]
                    known = known_by(crc32(rest))
                    kind = known[1] if known is not None and known[0] == rest else judge(rest)
                    if kind >= 0:
                        self._answer_kind = kind if chunk[0] != _H else kind | HEAD_ONLY
                        self._stage = PENDING
                        join_tick(self, found[1], self._peer, chunk)
                        return
            self._receive(chunk)

        def committed(self, kept: bool) -> None:
            """Answer the pending hit: its tick has ended."""
            if not kept or not self._is_simple or self._answer_kind >= THEN_CLOSE:
                self._finish(kept)
                return
            self._stage = FREE
            self._since = wheel.turn
            state = self._state
            state.total_requests += 1
            if answers.made_from is not state.default_headers:
                answers.remake(state)
            self.transport.write(answers.kept[self._answer_kind])  # may call pause_writing, so it comes last

    return WorkerProtocol
