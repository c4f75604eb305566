"""Connection: one connection's life. What is read in which order, what may wait, and how it ends.

The base of protocol.py's class, which adds the fast path, and the owner of the reference behind it. It stands in
uvicorn's `server_state.connections`, keeps answers in order, and holds every connection to its limits: in number, in
what waits on it, and in time by the wheel's visits. Must not parse: what a request is, llhttp says.
"""

import asyncio
from typing import Any, ClassVar, Final

from uvicorn.config import Config
from uvicorn.server import ServerState

from collector.limits import Limits
from collector.metrics import Counters
from collector.outcome import Outcome
from collector.pixel import CROWDED, encode_fault
from collector.reference import TOO_SLOW, Reference
from collector.wheel import Wheel

_PEER_BYTES_MAX: Final = 255  # a record's field has one byte for it
_EVICTED_MAX: Final = 16  # how many are looked at for each connection that comes while it is crowded

# Where a connection stands with what was read. FREE is 0, so that the hot path tests its truth.
FREE: Final = 0  # all of it is answered: the next chunk may take the fast path
PENDING: Final = 1  # a hit waits for the end of its tick
HANDED: Final = 2  # the reference has something open, or nothing may be read
# How a connection is to end, each later than the one before.
OPEN: Final = 0
LEAVING: Final = 1  # closes when what was read is answered
TURNED_AWAY: Final = 2  # came beyond the cap: whatever it sends first gets 503
ENDING: Final = 3  # answered for the last time: input is thrown away until the client closes or its time is out
LOST: Final = 4


class Connection(asyncio.Protocol):
    """One connection, all but its fast path; uvicorn calls what is not asyncio's: `shutdown`.

    slot: the wheel's. _is_simple: the pending answer is to be followed by nothing but the next chunk. _mark: what the
    reference had open when it was last looked at. _since: the turn of the wheel the present time-out counts from.
    """

    __slots__ = (
        "_app_state",
        "_config",
        "_held",
        "_is_reading",
        "_is_simple",
        "_is_write_paused",
        "_mark",
        "_peer",
        "_phase",
        "_reference",
        "_since",
        "_stage",
        "_state",
        "slot",
        "transport",
    )
    _counters: ClassVar[Counters]
    _limits: ClassVar[Limits]
    _wheel: ClassVar[Wheel]
    transport: asyncio.Transport

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._config = config
        self._state = server_state
        self._app_state = app_state
        self._stage = FREE
        self._phase = OPEN
        self._held = b""
        self._is_reading = self._is_simple = True
        self._is_write_paused = False
        self._reference: Reference | None = None
        self._mark = 0
        self.slot = -1

    # ---- what the fast path does not take ---------------------------------------------------------------------------

    def _receive(self, chunk: bytes) -> None:
        if self._phase == TURNED_AWAY:
            self._answer_fault(*CROWDED)
            self._close()
        elif self._phase >= ENDING:
            return
        elif self._stage == PENDING or self._is_write_paused:
            self._held += chunk  # one chunk, since no more is read until it is dealt with
            self._is_simple = False
            self.regulate_reading()
        else:
            self._hand_over(chunk)

    def _hand_over(self, chunk: bytes) -> None:
        self._stage = HANDED
        if self._reference is None:
            self._reference = Reference(self, self._config, self._state, self._app_state)
        self._reference.data_received(chunk)
        if self._phase == LEAVING:
            self._reference.shutdown()
            self.reference_changed()

    def _go_on(self) -> None:
        """Nothing is pending: take up what was held back, else be free, or leave."""
        self._since = self._wheel.turn
        if self._phase >= TURNED_AWAY or self._is_write_paused or not self._is_reference_idle:
            self._stage, self._is_simple = HANDED, False
        elif self._held:
            chunk, self._held = self._held, b""
            self._stage, self._is_simple = FREE, self._phase == OPEN
            self.data_received(chunk)
        elif self._phase == LEAVING:
            self._close()
        else:
            self._stage, self._is_simple = FREE, True
        self.regulate_reading()

    @property
    def _is_reference_idle(self) -> bool:
        return self._reference is None or self._reference.is_idle

    # ---- what the reference asks of its owner -----------------------------------------------------------------------

    @property
    def is_ending(self) -> bool:
        """No answer is written any more."""
        return self._phase >= ENDING or self.transport.is_closing()

    def reference_changed(self) -> None:
        """Watch the time of what has begun, and go on where nothing is open any more."""
        reference = self._reference
        if reference is None or self._phase >= ENDING:
            return
        if reference.mark != self._mark:
            self._mark, self._since = reference.mark, self._wheel.turn
            self._wheel.put(self, self._deadline())
        if reference.is_idle:
            self._go_on()
        elif self._phase == LEAVING and not reference.is_open:
            self._close()
        else:
            self.regulate_reading()

    def regulate_reading(self) -> None:
        """Read on only while there is room for more: nothing held back, no answers stuck, no line of requests."""
        wanted = self._phase >= ENDING or not (
            self._held or self._is_write_paused or (self._reference is not None and not self._reference.wants_input)
        )
        if wanted == self._is_reading or self.transport.is_closing():
            return
        self._is_reading = wanted
        if wanted:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()

    def refuse(self, status: int, reason: str) -> None:
        """Answer 4xx and close. A request that never arrived whole (408) is no hit; any other is a malformed one."""
        if status != TOO_SLOW[0]:
            self._counters.outcomes[Outcome.MALFORMED] += 1
        self._answer_fault(status, reason)
        self._linger()

    def _answer_fault(self, status: int, reason: str, *headers: tuple[bytes, bytes]) -> None:
        self.transport.write(encode_fault(status, self._state.default_headers, reason, *headers))

    def close_after_answer(self) -> None:
        """Close; where the client may still be sending, not before it has had time to read the answer."""
        if self._reference is not None and self._reference.wants_body:
            self._linger()
        else:
            self._close()

    # ---- how it ends ------------------------------------------------------------------------------------------------

    def _close(self) -> None:
        if self._phase < ENDING:
            self._phase, self._stage, self._held = ENDING, HANDED, b""
            self._since = self._wheel.turn
        self.transport.close()

    def _linger(self) -> None:
        """Send our end, and read on without looking: closing upon unread input would destroy the answer on its way."""
        if self.is_ending:
            return
        self._phase, self._stage, self._held = ENDING, HANDED, b""
        self._since = self._wheel.turn
        self._wheel.put(self, self._deadline())
        self.regulate_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    def eof_received(self) -> bool:
        """The client sends no more. True keeps the other half open, for what was read is answered."""
        if self._phase >= TURNED_AWAY:
            return False
        self._phase, self._is_simple = LEAVING, False
        if self._reference is not None:
            self._reference.end_of_input()
        return self._stage == PENDING or self._held != b"" or (self._reference is not None and self._reference.is_open)

    def shutdown(self) -> None:
        """Uvicorn stops: answer what was read, then close."""
        if self._phase >= TURNED_AWAY or self._stage == FREE:
            self._close()
            return
        self._phase, self._is_simple = LEAVING, False
        if self._reference is not None:
            self._reference.shutdown()
            self.reference_changed()

    def connection_lost(self, exc: Exception | None) -> None:
        self._phase, self._stage, self._is_simple, self._held = LOST, HANDED, False, b""
        self._state.connections.discard(self)
        self._wheel.drop(self)
        if self._reference is not None:
            self._reference.connection_lost(exc)

    # ---- how it begins, and its limits ------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a place among the server's connections; beyond the cap, the place of one that is only turned away."""
        self.transport = transport  # type: ignore[assignment]
        peer = transport.get_extra_info("peername")
        self._peer = peer[0].encode("ascii", "replace")[:_PEER_BYTES_MAX] if type(peer) is tuple else b""
        connections, wheel, limits = self._state.connections, self._wheel, self._limits
        self._since = wheel.turn
        if len(connections) >= limits.crowded_from:
            self._make_room()
        connections.add(self)  # type: ignore[arg-type]  # of what stands there, uvicorn calls `shutdown` alone
        wheel.board(self, limits.idle_seconds if self._phase == OPEN else limits.linger_seconds)

    def _make_room(self) -> None:
        """Close the longest idle; where that is not enough, turn this one away."""
        for other in self._wheel.soonest(_EVICTED_MAX):
            other.evict()
        connections_count = len(self._state.connections)
        if connections_count < self._limits.connections_max:
            return
        self._counters.connections_refused += 1
        self._phase, self._stage = TURNED_AWAY, HANDED
        if connections_count >= self._limits.connections_max + self._limits.refused_max:
            self.transport.abort()

    def evict(self) -> None:
        """Make room for another connection if nothing is open on this one and it has been idle for a while."""
        if self._phase == OPEN and self._stage == FREE and self._since < self._wheel.turn:
            self._state.connections.discard(self)  # at once: its loss is told later
            self._close()
        self._wheel.put(self, self._deadline())

    def due(self, turn: int) -> int | None:
        """What the wheel asks: when to come again, having ended what is out of time."""
        deadline = self._deadline()
        if deadline > turn:
            return deadline
        if self._phase >= TURNED_AWAY or self._is_write_paused:
            self.transport.abort()
        elif self._reference is not None and self._reference.in_message:
            self._reference.time_out()
        else:
            self._close()
        return None if self._phase == LOST or self.slot >= 0 else turn + self._limits.linger_seconds

    def _deadline(self) -> int:
        """The turn at which time is out, as things stand; one more than the limit, since `_since` had begun already."""
        limits, reference = self._limits, self._reference
        seconds = limits.idle_seconds
        if self._phase >= TURNED_AWAY:
            seconds = limits.linger_seconds
        elif self._is_write_paused:
            seconds = limits.stall_seconds
        elif reference is not None and reference.in_message:
            seconds = limits.head_seconds if reference.in_head else limits.body_seconds
        elif self._stage == PENDING or not self._is_reference_idle:
            return self._wheel.turn + seconds  # the answer is on its way, and ours to give
        return self._since + seconds + 1

    def pause_writing(self) -> None:
        """The client takes nothing off us and 64 KiB wait: read no more from it; the wheel gives it some time."""
        self._is_write_paused, self._is_simple = True, False
        if self._stage == FREE:
            self._stage = HANDED
        self._since = self._wheel.turn
        self._wheel.put(self, self._deadline())
        if self._reference is not None:
            self._reference.pause_writing()
        self.regulate_reading()

    def resume_writing(self) -> None:
        """Go on where it stopped."""
        self._is_write_paused = False
        if self._reference is not None:
            self._reference.resume_writing()
        if self._stage == HANDED:
            self._go_on()
