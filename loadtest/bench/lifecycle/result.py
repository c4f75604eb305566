"""What `lifecycle.py` measures: flips that came back, runs of them, deadlines that were swept."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Timed:
    """Flips that came back, in milliseconds; what went wrong."""

    enforced_ms: list[float] = field(default_factory=list)
    waited_ms: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def note(self, answer: dict[str, Any]) -> None:
        """Keep what the service told; a flip that is not enforced by all workers is a fault, not a fast one."""
        if answer.get("enforced") is not True or not answer.get("workers"):
            self.faults.append(f"not enforced: {answer}")
        else:
            self.enforced_ms.append(float(answer["enforced_ms"]))
            self.waited_ms.append(float(answer["waited_ms"]))

    def take(self, other: "Timed") -> None:
        """Add another's."""
        self.enforced_ms += other.enforced_ms
        self.waited_ms += other.waited_ms
        self.faults += other.faults


@dataclass(frozen=True, slots=True)
class Flipping:
    """So many operators at a time, each behind its own flips."""

    ledger: str
    operators: int
    pace: float  # flips a second they were to make together; 0: as fast as they were answered
    seconds: float
    cpu_seconds: float
    timed: Timed

    @property
    def name(self) -> str:
        """For the tables."""
        how = f"paced at {self.pace:g}/s" if self.pace else "as fast as answered"
        return f"{self.ledger}, {self.operators} operators, {how}"

    @property
    def rate(self) -> float:
        """Flips a second."""
        return len(self.timed.waited_ms) / self.seconds


@dataclass(frozen=True, slots=True)
class Swept:
    """seconds: from when the service answered until the last deadline was durable."""

    ledger: str
    accounts: int
    seconds: float
    cpu_seconds: float
    timed: Timed
