"""Tailing: which tail follows the events: Kafka's where it is set, else the journals of this host."""

from collections.abc import Callable

from collector.topics import Topics
from consumers.config import ConsumerSettings
from consumers.tail import Filter, Following, Tail
from consumers.warehouse.protocol import Audience, View
from gating.datadir import DataDirectory


def open_tail(
    data: DataDirectory,
    settings: ConsumerSettings,
    filter_: Filter,
    view: Callable[[str, Audience], View],
    topics: Topics | None = None,
) -> Following:
    """A tail from now on. Raises NotFound, AccessDenied, Unreachable, QuestionInvalid."""
    if settings.kafka_bootstrap is None:
        return Tail(data.journals, settings.addresses(), filter_, view)
    from consumers.kafka_tail import KafkaTail

    return KafkaTail(settings.kafka_bootstrap, filter_, view, topics)
