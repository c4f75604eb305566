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
_LEAST_BITS, _MOST_BITS = 10, 30  # 1 us and 1 s; what is shorter shares the first bucket, what is longer has no bound
GIVEN: Final = "given"
WRITTEN: Final = "written"


def bucket_of(ns: int) -> int:
    """Index of a time's bucket: for each octave as many as FINE_BITS says, of equal width."""
    shift = max(ns, 1 << _LEAST_BITS).bit_length() - 1 - FINE_BITS
    return min((shift << FINE_BITS) + (ns >> shift), _OVER)


def _bound(bucket: int) -> int:
    """The first time, in ns, that lies beyond the bucket."""
    shift = (bucket >> FINE_BITS) - 1
    return ((bucket & (1 << FINE_BITS) - 1) + (1 << FINE_BITS) + 1) << shift


_FIRST: Final = (_LEAST_BITS - FINE_BITS + 1) << FINE_BITS
_OVER: Final = (_MOST_BITS - FINE_BITS + 1) << FINE_BITS
_BOUNDS: Final = [_bound(bucket) for bucket in range(_FIRST, _OVER)]
if any(after <= before for before, after in pairwise(_BOUNDS)) or _BOUNDS[-1] != 1 << _MOST_BITS:
    raise ValueError("the buckets of service times must rise without a gap")


class ServiceTimes:
    """One worker's times, counted by buckets: a fixed size, whatever comes."""

    __slots__ = ("given", "given_ns", "written", "written_ns")

    def __init__(self) -> None:
        self.given, self.written = [0] * (_OVER + 1), [0] * (_OVER + 1)
        self.given_ns = self.written_ns = 0

    def histograms(self) -> dict[str, Histogram]:
        """What was timed up to now, as it is published."""
        return {GIVEN: _histogram(self.given, self.given_ns), WRITTEN: _histogram(self.written, self.written_ns)}


def _histogram(counts: list[int], sum_ns: int) -> Histogram:
    first = sum(counts[: _FIRST + 1])
    return Histogram(sum(counts), sum_ns, list(zip(_BOUNDS, [first, *counts[_FIRST + 1 : _OVER]], strict=True)))


def timed_class(base: type[PixelProtocol], times: ServiceTimes) -> type[PixelProtocol]:
    """A worker's protocol that also times each hit of the fast path that it answers, whatever the verdict."""
    take, answer = base.data_received, base.committed  # type: ignore[attr-defined]  # of the class a worker makes
    given, written = times.given, times.written

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
            times.given_ns += given_ns
            times.written_ns += written_ns
            given[bucket_of(given_ns)] += 1
            written[bucket_of(written_ns)] += 1

    return TimedProtocol
