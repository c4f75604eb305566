"""Messages: a journal's records as Kafka carries them, each for the topic that its verdict allows.

Called by the pump with a share of one journal at a time. Pure but for bounded caches of what was read before. Decides
nothing about accounts: `pixel.events` takes verified accepts alone, as `Event.topic` says.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from collector.addresses import Addresses
from collector.event import SCHEMA_VERSION, TOPIC_EVENTS
from collector.journal.format import Record
from collector.publisher.record_batch import Message, encode_headers
from collector.refine import event_of
from gating.status import Verdict

SCHEMA: Final = "schema"
VERDICT: Final = "verdict"
AGAIN: Final = "again"
"""On a message whose id may come a second time in a way that the order of sequences does not tell."""


def headers_of(verdict: str, *, again: bool) -> bytes:
    """The headers of CONTRACT, encoded."""
    headers = [(SCHEMA, str(SCHEMA_VERSION).encode()), (VERDICT, verdict.encode())]
    return encode_headers([*headers, (AGAIN, b"1")] if again else headers)


_HEADERS: Final = {
    (verdict, again): headers_of(verdict.name, again=again) for verdict in Verdict for again in (False, True)
}


class Share(NamedTuple):
    """One share of a journal: what goes to `pixel.events`, and what to `pixel.hidden`, each in order of sequence."""

    events: list[Message]
    hidden: list[Message]


def messages_of(records: Sequence[Record], journal: str, addresses: Addresses, again_through: int = 0) -> Share:
    """A share's messages. again_through: up to this sequence they carry the header `again`."""
    share = Share([], [])
    for record in records:
        event = event_of(record, journal, addresses)
        headers = _HEADERS[event.verdict, record.sequence <= again_through]
        message = (record.sequence, record.received_at_us // 1000, event.kafka_key, event.encode(), headers)
        (share.events if event.topic == TOPIC_EVENTS else share.hidden).append(message)
    return share
