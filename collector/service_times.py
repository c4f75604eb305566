"""Service times: how long a hit of the fast path is inside its worker, from chunk read to answer given away.

Only where PIXELGATE_SERVICE_TIMES asks for it: `worker.py` then serves by `timed_class`, a subclass of the protocol
that reads the clock where hits enter and leave; without it no line of this runs. What is measured, to the line:

read     entry of `data_received`: the kernel's read(2) is done, nothing has looked at the chunk
given    the hit's tick is decided and journalled, and its turn to answer has come: right before `transport.write`
written  `transport.write` has returned, and with it write(2): uvloop calls that at once where nothing waits

So a hit's time holds the reading of later chunks of its tick, the append of all, and the answers before its own. A
chunk held back behind an answer that is on its way counts from when it is taken up. The reference path is not timed.
"""

from itertools import pairwise
from time import perf_counter_ns
from typing import Final

from collector.connection import ENDING
from collector.metrics import Histogram
from collector.protocol import PixelProtocol

FINE_BITS: Final = 3  # 8 buckets an octave: a percentile is told to 12 %, on the high side
_LEAST_BITS, _MOST_BITS = 11, 30  # 2 us and 1 s; what is shorter shares the first bucket, what is longer has no bound
_CELL_BITS: Final = _LEAST_BITS - FINE_BITS
_CELLS: Final = 1024
"""Times below 262 us are counted by cells of 256 ns, which the buckets are made of: an index and no reckoning, 0.05 us
a time in place of 0.35. What times a tick's hits makes those behind them wait."""
GIVEN: Final = "given"
WRITTEN: Final = "written"


def bucket_of(ns: int) -> int:
    """Index of a time's bucket: for each octave as many as FINE_BITS says, of equal width."""
    shift = max(ns, 1 << _LEAST_BITS).bit_length() - 1 - FINE_BITS
    return max(_FIRST, min((shift << FINE_BITS) + (ns >> shift), _OVER)) - _FIRST


def _bound(bucket: int) -> int:
    """The first time, in ns, that lies beyond the bucket."""
    shift = (bucket >> FINE_BITS) - 1
    return ((bucket & (1 << FINE_BITS) - 1) + (1 << FINE_BITS) + 1) << shift


_FIRST: Final = (_LEAST_BITS - FINE_BITS + 1) << FINE_BITS
_OVER: Final = (_MOST_BITS - FINE_BITS + 1) << FINE_BITS
BOUNDS: Final = [_bound(bucket) for bucket in range(_FIRST, _OVER)]
if any(after <= before for before, after in pairwise(BOUNDS)) or BOUNDS[-1] != 1 << _MOST_BITS:
    raise ValueError("the buckets of service times must rise without a gap")
if any(bound % (1 << _CELL_BITS) for bound in BOUNDS):
    raise ValueError("a cell of service times must lie in one bucket")


class Times:
    """Times of one kind, counted: a fixed size, whatever comes."""

    __slots__ = ("_cells", "_far", "_sum_ns")

    def __init__(self) -> None:
        self._cells = [0] * _CELLS
        self._far = [0] * (len(BOUNDS) + 1)
        self._sum_ns = 0

    def note(self, ns: int) -> None:
        """Count a time."""
        self._sum_ns += ns
        cell = ns >> _CELL_BITS
        if cell < _CELLS:
            self._cells[cell] += 1
        else:
            self._far[bucket_of(ns)] += 1

    def histogram(self) -> Histogram:
        """What was counted up to now, as it is published."""
        counts = self._far.copy()
        for cell, count in enumerate(self._cells):
            if count:
                counts[bucket_of(cell << _CELL_BITS)] += count
        return Histogram(sum(counts), self._sum_ns, list(zip(BOUNDS, counts, strict=False)))


class ServiceTimes:
    """One worker's times, by where they end."""

    __slots__ = ("given", "written")

    def __init__(self) -> None:
        self.given, self.written = Times(), Times()

    def histograms(self) -> dict[str, Histogram]:
        """What is published."""
        return {GIVEN: self.given.histogram(), WRITTEN: self.written.histogram()}


def timed_class(base: type[PixelProtocol], times: ServiceTimes) -> type[PixelProtocol]:
    """A worker's protocol that also times each hit of the fast path that it answers, whatever the verdict."""
    take, answer = base.data_received, base.committed  # type: ignore[attr-defined]  # of the class a worker makes
    note_given, note_written = times.given.note, times.written.note

    class TimedProtocol(base):  # type: ignore[valid-type, misc]  # a class of this worker, made where it starts
        __slots__ = ("_read_ns",)

        def data_received(self, chunk: bytes) -> None:
            self._read_ns = perf_counter_ns()
            take(self, chunk)

        def committed(self, kept: bool) -> None:
            read_ns = self._read_ns
            if self._phase >= ENDING:  # the client is gone: nobody is answered
                answer(self, kept)
                return
            given_ns = perf_counter_ns() - read_ns
            answer(self, kept)
            # The next chunk, taken up inside `answer`, has set a time of its own.
            written_ns = perf_counter_ns() - read_ns
            note_given(given_ns)
            note_written(written_ns)

    return TimedProtocol
