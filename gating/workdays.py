"""Working days: by when an answer is owed. Pure; the calendar is the rulebook's `[calendar]`."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from gating.status import SECOND_US

SATURDAY = 5  # date.weekday(): Monday is 0


@dataclass(frozen=True, slots=True)
class Calendar:
    """Monday to Friday but for `holidays`, in the operators' time zone."""

    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    holidays: frozenset[date] = frozenset()

    def is_workday(self, day: date) -> bool:
        """Tell whether the operators work on that day."""
        return day.weekday() < SATURDAY and day not in self.holidays

    def after(self, start_us: int, workdays: int) -> int:
        """The same time of day `workdays` working days later; from a day off, counted from the next one's start.

        The time is the wall clock's: an hour lost or won by daylight saving does not move it.
        """
        start = datetime.fromtimestamp(start_us // SECOND_US, tz=UTC).astimezone(self.zone)
        below_second_us = start_us % SECOND_US
        day, at = start.date(), start.time()
        if not self.is_workday(day):
            day, at, below_second_us = self._next(day), time(), 0
        for _ in range(workdays):
            day = self._next(day)
        moment = datetime.combine(day, at, tzinfo=self.zone)
        return int(moment.timestamp()) * SECOND_US + below_second_us

    def _next(self, day: date) -> date:
        day += timedelta(days=1)
        while not self.is_workday(day):
            day += timedelta(days=1)
        return day
