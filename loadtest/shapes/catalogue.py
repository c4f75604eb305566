"""Every shape: who comes, how many, how fast. Data alone; user classes are named, not imported."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

STEADY: Final = "steady"
BURST_CYCLE_SECONDS: Final = 30.0
BURST_FROM_SECONDS: Final = 10.0
BURST_SECONDS: Final = 10.0
BURST_TIMES: Final = 10
SPAWN_RATE_MAX: Final = 100.0
"""Users a second; locust warns of more."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A shape. mix: user class -> its share of the users. rate: hits a second of those in `paced`, all together.

    needs: `accounts` that can be made, `flips` that can be commanded, or `keys`: many of them, from a file.
    """

    name: str
    title: str
    mix: Mapping[str, int]
    users: int
    rate: float
    seconds: int = 60
    paced: tuple[str, ...] = ("Visitor",)
    bursts: bool = False
    flips: bool = False
    many_keys: bool = False
    users_min: int = 1

    def paced_users(self, users: int) -> float:
        """Tell how many of that many users hold the rate."""
        return users * sum(self.mix[name] for name in self.paced) / sum(self.mix.values())

    def interval_seconds(self, users: int, rate: float) -> float:
        """Tell how far apart one such user's hits are, on average."""
        return max(self.paced_users(users), 1.0) / rate

    def users_at(self, seconds: float, users: int) -> int:
        """Tell how many users there are at a moment of the run: more of them while it bursts."""
        at = seconds % BURST_CYCLE_SECONDS
        bursting = self.bursts and BURST_FROM_SECONDS <= at < BURST_FROM_SECONDS + BURST_SECONDS
        return users * BURST_TIMES if bursting else users


PLANS: Final[Mapping[str, Plan]] = {
    plan.name: plan
    for plan in (
        Plan(STEADY, "browsers in sessions at one pace", {"Visitor": 1}, 50, 300.0),
        Plan("burst", "ten times as many browsers for 10 s of every 30", {"Visitor": 1}, 10, 40.0, bursts=True),
        Plan("flip_storm", "operators flip accounts while hits run", {"Operator": 1, "StormVisitor": 4}, 40, 250.0,
             paced=("StormVisitor",), flips=True, users_min=2),
        Plan("new_connections", "every hit on a connection of its own", {"NewConnection": 1}, 50, 200.0,
             paced=("NewConnection",)),
        Plan("slow_clients", "dribblers, stallers, slow readers beside browsers", {"SlowClient": 4, "Visitor": 1}, 250,
             150.0, users_min=5),
        Plan("bots_and_garbage", "bots, scanners and broken requests beside browsers", {"Bot": 1, "Visitor": 1}, 40,
             150.0, users_min=2),
        Plan("million_keys", "browsers of a million accounts' sites", {"Visitor": 1}, 50, 300.0, many_keys=True),
    )
}  # fmt: skip
