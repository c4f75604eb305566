"""Wheel: every connection's time-out, by one timer a second.

A connection is put into the slot of the second at which it wants to be looked at. What happens on it meanwhile moves
nothing: when its second comes it says when to look again, or ends. So a hit costs no timer, and a turn of the wheel
costs what is due in that second and not what is open.

Called by the protocol and, once a second, by itself. It knows seconds and slots, and nothing of HTTP.
"""

import asyncio
from itertools import chain, islice
from typing import Final, Protocol

TURN_SECONDS: Final = 1.0
SLOTS: Final = 128
AHEAD_MAX: Final = SLOTS - 1
"""The furthest a visit can lie ahead, in turns. Who wants a later one is looked at then, and asks again."""


class Passenger(Protocol):
    """What rides on the wheel. `slot` is the wheel's own note, -1 while not on it."""

    slot: int

    def evict(self) -> None:
        """Make room if you can, else have yourself put where you belong."""

    def due(self, turn: int) -> int | None:
        """Called when the visit's turn has come: the turn of the next one, or None for no more (the wheel lets go)."""


class Wheel:
    """Slots of a second each. turn: how many seconds the wheel has gone; a frozen process does not catch up."""

    __slots__ = ("_loop", "_slots", "_timer", "turn")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._slots: list[set[Passenger]] = [set() for _ in range(SLOTS)]
        self._timer: asyncio.TimerHandle | None = None
        self.turn = 0

    def start(self) -> None:
        """Turn once a second from now on."""
        self._timer = self._loop.call_later(TURN_SECONDS, self._turn_and_rearm)

    def stop(self) -> None:
        """Turn no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _turn_and_rearm(self) -> None:
        self.start()
        self.advance()

    def board(self, passenger: Passenger, seconds: int) -> None:
        """Visit a passenger that is not on the wheel once that many seconds, below AHEAD_MAX, have surely passed."""
        passenger.slot = slot = (self.turn + seconds + 1) % SLOTS
        self._slots[slot].add(passenger)

    def put(self, passenger: Passenger, turn: int) -> None:
        """Visit the passenger at `turn`, and no longer at the turn asked for before."""
        if passenger.slot >= 0:
            self._slots[passenger.slot].discard(passenger)
        passenger.slot = min(max(turn, self.turn + 1), self.turn + AHEAD_MAX) % SLOTS
        self._slots[passenger.slot].add(passenger)

    def drop(self, passenger: Passenger) -> None:
        """Forget the passenger, on the wheel or not."""
        if passenger.slot >= 0:
            self._slots[passenger.slot].discard(passenger)
            passenger.slot = -1

    def advance(self) -> None:
        """Go on by one turn and visit who is due."""
        self.turn += 1
        slot = self.turn % SLOTS
        due, self._slots[slot] = self._slots[slot], set()
        for passenger in due:
            passenger.slot = -1
            again = passenger.due(self.turn)
            if again is not None:
                self.put(passenger, again)

    def soonest(self, count: int) -> list[Passenger]:
        """At most `count` passengers, those whose visit comes first at the front."""
        ahead = (self._slots[(self.turn + turns) % SLOTS] for turns in range(1, SLOTS))
        return list(islice(chain.from_iterable(ahead), count))
