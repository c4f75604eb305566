"""Topics: under which names events lie in Kafka. SHARED by collector and consumers.

The contract fixes the names; they are a value all the same, so that a test may have topics of its own.
"""

from dataclasses import dataclass

from collector.event import TOPIC_EVENTS, TOPIC_HIDDEN
from collector.publishers import TOPIC_PUBLISHERS


@dataclass(frozen=True, slots=True)
class Topics:
    """Where accepted events go, where hidden and unverified ones, and where publishers and consumers talk."""

    events: str = TOPIC_EVENTS
    hidden: str = TOPIC_HIDDEN
    publishers: str = TOPIC_PUBLISHERS

    @property
    def of_events(self) -> tuple[str, str]:
        """Those that events go to."""
        return self.events, self.hidden
