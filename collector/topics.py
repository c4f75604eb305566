"""Topics: under which names events lie in Kafka. SHARED by collector and consumers.

The contract fixes the names; they are a value all the same, so that a test may have topics of its own.
"""

from dataclasses import dataclass

from collector.event import TOPIC_EVENTS, TOPIC_HIDDEN, Event


@dataclass(frozen=True, slots=True)
class Topics:
    """Where accepted events go, and where hidden and unverified ones."""

    events: str = TOPIC_EVENTS
    hidden: str = TOPIC_HIDDEN

    def of(self, event: Event) -> str:
        """The topic of one event."""
        return self.events if event.topic == TOPIC_EVENTS else self.hidden
