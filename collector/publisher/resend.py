"""Resend: dead letters go to Kafka once more, and are marked as sent only once they are acknowledged.

Called by `pixelgate journal resend`, one at a time a data directory (the lock `dead-letters`); a publisher may run
beside it. What is sent carries the header `again`: its sequence lies far behind what its partition has seen.
"""

from dataclasses import dataclass
from pathlib import Path

from collector.errors import BatchRefused
from collector.publisher.dead_letters import Letter, find, mark_sent
from collector.publisher.messages import headers_of
from collector.publisher.partitions import partition_of
from collector.publisher.record_batch import Compression, RecordBatch
from collector.publisher.sink import Sink


@dataclass(frozen=True, slots=True)
class Resent:
    """What became of the letters that waited. refused: those that Kafka still does not take, with its reason."""

    sent: int
    refused: tuple[tuple[Letter, str], ...]


async def resend(directory: Path, sink: Sink) -> Resent:
    """Send every letter that waits, one by one, so that one that is refused again holds up no other.

    Raises SinkFailed where Kafka cannot be reached; what was marked until then stays marked. Raises OSError.
    """
    waiting = find(directory).unsent
    sent, refused = 0, []
    partitions = await sink.open() if waiting else {}
    try:
        for path, letter in waiting:
            try:
                await _send(sink, partitions[letter.topic], letter)
            except BatchRefused as error:
                refused.append((letter, error.reason))
                await sink.close()  # a refused batch leaves a producer that is no good any more
                partitions = await sink.open()
                continue
            mark_sent(path, [letter.id])
            sent += 1
    finally:
        await sink.close()
    return Resent(sent, tuple(refused))


async def _send(sink: Sink, partitions: int, letter: Letter) -> None:
    event = letter.decoded()
    batch = RecordBatch(Compression.LZ4)
    headers = headers_of(event.verdict.name, again=True)
    key = event.kafka_key
    batch.extend([(letter.sequence, event.received_at // 1000, key, letter.event, headers)], timestamps=False)
    await sink.send((letter.topic, partition_of(key, partitions)), batch)
