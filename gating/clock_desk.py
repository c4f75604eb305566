"""Clock desk: what an operator asks of the clock, and says: what it shows, whether it is believed, that it is right.

`pixelgate clock` and the API come here. What is believed and why is `heartbeat.py`'s.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from gating.clock import Clock, Reading
from gating.errors import Refused
from gating.heartbeat import Doubt
from gating.ledger import Ledger
from gating.status import SECOND_US
from gating.sweeper import ClockState, Sweeper
from gating.times import rfc3339

Document = dict[str, Any]

APART_SECONDS_MAX: Final = 60.0
"""How far the service's own time and the host's clock may stand apart when one of them is confirmed: which one?"""

_log = logging.getLogger("pixelgate.gating")


class ClockDesk:
    """Of one service. read, in_turn: run a question, or what writes, in the ledger's threads."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        sweeper: Sweeper,
        *,
        read: Callable[[Callable[[], Any]], Awaitable[Any]],
        in_turn: Callable[[Callable[[], Any]], Awaitable[Any]],
    ) -> None:
        self._ledger, self._clock, self._sweeper = ledger, clock, sweeper
        self._read, self._in_turn = read, in_turn

    async def show(self) -> Document:
        """What the clock shows, what is believed, what waits."""

        def ask() -> tuple[ClockState, int]:
            state = self._sweeper.state()
            return state, self._ledger.activity.known_us(state.reading.wall_us)

        state, known_us = await self._read(ask)
        return {
            "now": rfc3339(state.reading.wall_us),
            "host_ahead_seconds": round(self._clock.behind_wall_seconds(), 3),
            **_believed(state),
            "waiting": state.waiting,
            "activity_known_until": rfc3339(known_us) if known_us else None,
        }

    async def confirm(self, actor: str) -> Document:
        """Believe the clock from now on. Raises Refused where the host's clock and the service's own time differ."""
        apart = self._clock.behind_wall_seconds()
        if abs(apart) > APART_SECONDS_MAX:
            raise Refused(
                f"the host's clock stands {apart:+.0f} s from the time that the service has kept since it began: which "
                "of them is right? Restart the gating service, so that it takes the host's over, then confirm"
            )
        state: ClockState = await self._read(self._sweeper.state)
        reading: Reading = self._clock.reading()
        await self._in_turn(lambda: self._ledger.beat.confirm(reading))
        self._sweeper.look_again()
        _log.warning("the clock was confirmed by %s: it shows %s", actor, rfc3339(reading.wall_us))
        return {
            "confirmed": rfc3339(reading.wall_us),
            "was_in_doubt": state.doubt.way if state.doubt else None,
            "waiting": state.waiting,
        }

    def doubt(self) -> Doubt | None:
        """What the sweeper saw at its last look, if an operator should hear of it."""
        seen = self._sweeper.seen
        doubt = None if seen is None else seen.doubt
        return doubt if doubt is not None and doubt.of_note else None

    def waiting(self) -> int:
        """Deadlines that have come and are not durable, at the sweeper's last look."""
        return 0 if self._sweeper.seen is None else self._sweeper.seen.waiting

    def not_ready(self) -> list[str]:
        """For readiness: why the clock is not believed."""
        doubt = self.doubt()
        return [] if doubt is None else [doubt.in_words()]


def _believed(state: ClockState) -> Document:
    beat, doubt = state.beat, state.doubt
    return {
        "heartbeat": None if beat is None else rfc3339(beat.reading.wall_us),
        "believed": None if beat is None else rfc3339(beat.least_us),
        "in_doubt": doubt.way if doubt else None,
        "off_seconds": round(doubt.off_us / SECOND_US, 3) if doubt else 0.0,
        "steady_seconds": round(doubt.steady_us / SECOND_US, 3) if doubt else 0.0,
        "why": doubt.in_words() if doubt else None,
    }
