"""Tally: which refusals of a minute become rows of their own, and which are counted. Pure.

Called by `refusals.py`. The first of equal refusals is a row at once; those that repeat it within the minute become one
row with their number when the minute has ended. So is whatever goes beyond an actor's rows or everybody's, in one row
that names no account: a flood costs a bounded number of rows, and no refusal goes uncounted.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Final

from gating.ledger.refusals import RefusalRow
from gating.status import SECOND_US, Role

WINDOW_US: Final = 60 * SECOND_US
ACTOR_ROWS_MAX: Final = 60
"""First refusals of one actor in a minute that become rows: a person at a console gives a few, a flood thousands."""
ROWS_MAX: Final = 600
"""The same of all actors. With the repeats, 1,201 rows a minute at the most, about 500 KB."""
SUPPRESSED: Final = "suppressed"
"""The code of the row that counts what went beyond."""


@dataclass(slots=True)
class Tally:
    """One service's refusals of the minute that runs."""

    _began_us: int | None = None
    _repeats: dict[RefusalRow, RefusalRow | None] = field(default_factory=dict)
    _of_actor: Counter[str] = field(default_factory=Counter)
    _beyond: RefusalRow | None = None

    def take(self, row: RefusalRow) -> list[RefusalRow]:
        """What is to be written down now that `row` was refused (times 1): what an ended minute left, and maybe it."""
        ready = self.ended(row.at_us)
        if self._began_us is None:
            self._began_us = row.at_us
        kind = replace(row, at_us=0, until_us=0)
        if kind in self._repeats:
            self._repeats[kind] = _more(self._repeats[kind], row)
        elif self._of_actor[row.actor] >= ACTOR_ROWS_MAX or len(self._repeats) >= ROWS_MAX:
            self._beyond = _more(self._beyond, _nobodys(row))
        else:
            self._repeats[kind] = None
            self._of_actor[row.actor] += 1
            ready.append(row)
        return ready

    def ended(self, now_us: int) -> list[RefusalRow]:
        """What a minute that has ended by now left to be written; a clock that went back ends it too."""
        began_us = self._began_us
        return [] if began_us is None or began_us <= now_us < began_us + WINDOW_US else self.end()

    def end(self) -> list[RefusalRow]:
        """End the minute: its repeats, and what went beyond."""
        left = [row for row in (*self._repeats.values(), self._beyond) if row is not None]
        self._began_us, self._beyond = None, None
        self._repeats.clear()
        self._of_actor.clear()
        return left


def _more(counted: RefusalRow | None, row: RefusalRow) -> RefusalRow:
    if counted is None:
        return row
    return replace(counted, times=counted.times + row.times, until_us=max(counted.until_us, row.until_us))


def _nobodys(row: RefusalRow) -> RefusalRow:
    """The row without whom and what: the first of those that are only counted gives no name to the others."""
    return RefusalRow(
        None, None, row.at_us, row.until_us, row.times, "*", "system", Role.SYSTEM, None, SUPPRESSED, None
    )  # fmt: skip
