"""Limits and counts: how much the pump holds and how long it waits, and what it has done."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds and paces; tests have their own."""

    waiting_bytes_max: int = 64 * 1024**2  # compressed for the most part: some 700,000 events
    idle_seconds: float = 0.1  # between two looks at journals that held little; no event waits longer to be read
    linger_seconds: float = 0.1  # how long a batch that is not full may wait while others are filled
    commit_seconds: float = 0.5  # between two moves of the cursors: what is sent again after a kill
    delivery_seconds: float = 120.0  # Kafka's own delivery.timeout.ms
    drain_seconds: float = 3.0  # how long a stop waits for what is on its way
    backoff_seconds: tuple[float, float] = (0.1, 10.0)  # the first and the longest wait after a failure


@dataclass(slots=True)
class Counts:
    """What was done since the start, in numbers of events unless the name says otherwise.

    events, hidden: acknowledged, by topic; one that was sent twice counts twice. producers: begun, one more a failure.
    """

    events: int = 0
    hidden: int = 0
    dead: int = 0
    event_bytes: int = 0
    sent_bytes: int = 0
    batches: int = 0
    batches_failed: int = 0
    batches_refused: int = 0
    producers: int = 0
