"""When a user's next hit is due: gaps drawn like those of independent visitors, and a schedule that slow answers do not
move. Who has fallen behind fires at once, and what it is measured from is when it was due."""

from random import Random


class Schedule:
    """Due moments, `interval_seconds` apart on average, from a clock's reading on. Pure: the clock is the caller's."""

    __slots__ = ("_interval_seconds", "_random", "due")

    def __init__(self, random: Random, interval_seconds: float, now: float) -> None:
        self._random, self._interval_seconds = random, interval_seconds
        self.due = now
        """When the hit that comes next should be sent."""
        self.go_on()

    def go_on(self) -> None:
        """Draw the next moment: exponential gaps, so that users who began together do not fire in volleys."""
        self.due += self._random.expovariate(1.0 / self._interval_seconds)

    def wait_seconds(self, now: float) -> float:
        """Tell how long to rest until then; 0 for who is late."""
        return max(0.0, self.due - now)
