"""Heartbeat: may the clock be believed, and what waits while it may not. A wrong clock must not destroy.

Pure. The leading service's heartbeat stands in the ledger: the wall clock, CLOCK_BOOTTIME and which boot that is of.
Each reading is judged by the last heartbeat; `service.py`, `sweeper.py` and `doctor` ask, and `ledger/beat.py` stores
what `after` makes of it. What is held is still shown and enforced at the edge: only its being made durable waits.

A wall clock may be as far as a day past what the last heartbeat and the time that CLOCK_BOOTTIME has run since then
explain. Farther, it is in doubt: AHEAD, until it has run steadily for a day beside CLOCK_BOOTTIME, or an operator
confirms it. One that stands before a time that was believed is BEHIND, until it has caught up or is confirmed.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gating.account import Decision
from gating.clock import Reading
from gating.status import DAY_US, SECOND_US, Status
from gating.times import rfc3339

LEAP_US: Final = DAY_US
"""How far past what is explained a clock may stand and still be believed: a host that was off over night."""
STEADY_US: Final = DAY_US
"""How long a clock in doubt runs steadily until it is believed all the same."""
SLIP_US: Final = 60 * SECOND_US
"""How far wall clock and CLOCK_BOOTTIME may part between two readings that count as steady: what NTP steps a host by
that it had not reached for long."""
NOTICE_US: Final = SECOND_US
"""A clock that is behind by less is held back for that moment and told to nobody: two hosts' clocks agree this well."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The last reading, and what is believed. least_us: a time that has surely come, by clocks that were believed.
    steady_us: for how long a clock in doubt has run beside CLOCK_BOOTTIME; 0 while none is in doubt."""

    reading: Reading
    least_us: int
    steady_us: int = 0

    @property
    def doubt(self) -> "Doubt | None":
        """What was in doubt at this heartbeat, for those whose own clock says nothing of the leader's."""
        now_us = self.reading.wall_us
        if now_us < self.least_us:
            return Doubt(Way.BEHIND, now_us, self.least_us)
        if now_us > self.least_us + LEAP_US:
            return Doubt(Way.AHEAD, now_us, self.least_us, self.steady_us)
        return None


class Way(StrEnum):
    """Which way a clock in doubt is wrong, if it is."""

    AHEAD = "ahead"
    BEHIND = "behind"


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why the clock is not believed. off_us: how far it stands past, or before, what is believed.
    steady_us: for how long it has run steadily since."""

    way: Way
    now_us: int
    least_us: int
    steady_us: int = 0

    @property
    def off_us(self) -> int:
        """How far the clock stands from what is believed; never negative."""
        return abs(self.now_us - self.least_us)

    @property
    def horizon_us(self) -> int:
        """Until when deadlines may have come: no command of an account may pass one by."""
        return max(self.now_us, self.least_us)

    @property
    def of_note(self) -> bool:
        """Tell whether an operator should hear of it."""
        return self.way is Way.AHEAD or self.off_us >= NOTICE_US

    def holds(self, decision: Decision) -> bool:
        """Tell whether a deadline's decision waits: what cannot be undone (nothing but DELETED purges: `rulebook check`
        sees to it), and of a clock behind every one."""
        return self.way is Way.BEHIND or Status.DELETED in (decision.to, decision.account.status)

    def in_words(self) -> str:
        """One clause for a person, without what to do."""
        now, least, days = rfc3339(self.now_us), rfc3339(self.least_us), self.off_us / DAY_US
        if self.way is Way.BEHIND:
            return f"the clock shows {now}, {days:.2f} days behind {least}, which the last heartbeat saw"
        steady = self.steady_us / SECOND_US / 3600
        return (
            f"the clock shows {now}, {days:.2f} days past {least}, which the last heartbeat explains; "
            f"{steady:.1f} of 24 h have run steadily"
        )


def doubt_of(beat: Heartbeat | None, reading: Reading) -> Doubt | None:
    """Judge a reading by the last heartbeat; None: the clock is believed, as the first one of a ledger is."""
    if beat is None:
        return None
    now_us = reading.wall_us
    if now_us < beat.least_us:
        return Doubt(Way.BEHIND, now_us, beat.least_us)
    least_us = beat.least_us + (_ran_us(beat, reading) or 0)
    if now_us <= least_us + LEAP_US:
        return None
    steady_us = _steady_us(beat, reading)
    return None if steady_us >= STEADY_US else Doubt(Way.AHEAD, now_us, least_us, steady_us)


def after(beat: Heartbeat | None, reading: Reading) -> Heartbeat:
    """The heartbeat to store for this reading. Services may stop, start and take over between two: what was steady
    goes on, and a clock in doubt moves nothing that is believed."""
    doubt = doubt_of(beat, reading)
    if doubt is None:
        return confirmed(reading)
    return Heartbeat(reading, doubt.least_us, doubt.steady_us)


def confirmed(reading: Reading) -> Heartbeat:
    """The heartbeat after an operator said that this is the time."""
    return Heartbeat(reading, reading.wall_us)


def _ran_us(beat: Heartbeat, reading: Reading) -> int | None:
    """How long CLOCK_BOOTTIME has run since the heartbeat; None where it is another boot's."""
    if reading.boot_id != beat.reading.boot_id or reading.boot_ns < beat.reading.boot_ns:
        return None
    return (reading.boot_ns - beat.reading.boot_ns) // 1000


def _steady_us(beat: Heartbeat, reading: Reading) -> int:
    """For how long the wall clock has run beside CLOCK_BOOTTIME, this reading included.

    Over another boot, or on another host, nothing tells how long it ran: that time counts as none, and the rest goes
    on unless the wall clock went back or leapt.
    """
    moved_us, ran_us = reading.wall_us - beat.reading.wall_us, _ran_us(beat, reading)
    if ran_us is None:
        return beat.steady_us if 0 <= moved_us <= LEAP_US else 0
    return beat.steady_us + ran_us if abs(moved_us - ran_us) <= SLIP_US else 0
