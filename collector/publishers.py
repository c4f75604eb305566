"""Publishers: what consumers and publishers say to each other on `pixel.publishers`. SHARED by collector and consumers.

A consumer asks how far it must read so that every hit answered before its question is in; every publisher answers once
all that its journals held at the question is acknowledged by Kafka or in its dead letters.

    key                 value
    ask                 {"ask": nonce, "at": time}                            a consumer's question
    answer:<publisher>  {"answer": nonce, "publisher": id, "offsets": {...}}   how far each partition was written
    publisher:<id>      {"publisher": id, "host": name, "started": time, "beat": time}   at its start and every beat
    publisher:<id>      null                                                   it stopped, and its host owes nothing

The topic has one partition, so all of this has one order. A publisher whose last word is not null may hold hits that no
partition has yet, however long it has been silent: whoever asked waits for its answer. Pure: it loads the standard
library and orjson alone, and knows no Kafka client.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from collector.event import time_text, wire_time_us

TOPIC_PUBLISHERS: Final = "pixel.publishers"

BEAT_SECONDS: Final = 10.0
"""Between two announcements of a publisher: its word is always there, though the topic keeps words for a time only."""

RETENTION_SECONDS: Final = 86_400
"""How long the topic should keep a word: a host that is silent for longer is taken to be gone with all it had."""

ASK_KEY: Final = b"ask"
ID_CHARS: Final = 32
"""A publisher's id and a nonce: 128 random bits in hex (`secrets.token_hex(16)`)."""

_ANSWER: Final = "answer:"
_PUBLISHER: Final = "publisher:"
_PLACE: Final = re.compile(r"([A-Za-z0-9._-]{1,249})/([0-9]{1,9})", re.ASCII)
_ID: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)

Place = tuple[str, int]
"""A topic and one of its partitions; on the wire "pixel.events/0"."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A consumer's question. nonce: its own, random. at_us: by the consumer's clock, for a reader's eye alone."""

    nonce: str
    at_us: int

    @property
    def key(self) -> bytes:
        return ASK_KEY

    def encode(self) -> bytes:
        """The record's value."""
        return orjson.dumps({"ask": self.nonce, "at": time_text(self.at_us)})


@dataclass(frozen=True, slots=True)
class Answer:
    """All that the publisher's host had answered before the question of this nonce lies at or below these offsets.

    offsets: of each partition that this publisher ever wrote to, the highest offset known to be its own.
    """

    nonce: str
    publisher: str
    offsets: Mapping[Place, int]

    @property
    def key(self) -> bytes:
        return f"{_ANSWER}{self.publisher}".encode()

    def encode(self) -> bytes:
        """The record's value."""
        offsets = {place_text(place): offset for place, offset in sorted(self.offsets.items())}
        return orjson.dumps({"answer": self.nonce, "publisher": self.publisher, "offsets": offsets})


@dataclass(frozen=True, slots=True)
class Announcement:
    """A publisher is there. started_us: when its process began; beat_us: when it said so; by its host's clock."""

    publisher: str
    host: str
    started_us: int
    beat_us: int

    @property
    def key(self) -> bytes:
        return f"{_PUBLISHER}{self.publisher}".encode()

    def encode(self) -> bytes:
        """The record's value."""
        started, beat = time_text(self.started_us), time_text(self.beat_us)
        return orjson.dumps({"publisher": self.publisher, "host": self.host, "started": started, "beat": beat})


@dataclass(frozen=True, slots=True)
class Farewell:
    """A publisher stopped, and nothing is owed on its host. Its value is null, so that compaction forgets it."""

    publisher: str

    @property
    def key(self) -> bytes:
        return f"{_PUBLISHER}{self.publisher}".encode()

    def encode(self) -> None:
        """The record's value: none, a tombstone."""
        return


Word = Ask | Answer | Announcement | Farewell
"""Anything that is said on the topic: each has its record's `key` and `encode()` for the value."""


def decode(key: bytes | None, value: bytes | None) -> Word | None:
    """What a record of the topic says; None for anything that no publisher or consumer of ours would have written."""
    name = (key or b"").decode("utf-8", "replace")
    if value is None:
        publisher = name.removeprefix(_PUBLISHER)
        return Farewell(publisher) if publisher != name and _is_id(publisher) else None
    try:
        word = _word(name, orjson.loads(value))
    except (KeyError, TypeError, ValueError, AttributeError):  # orjson's JSONDecodeError is a ValueError
        return None
    return word if word is not None and word.key == key else None


def place_text(place: Place) -> str:
    """A partition as it stands on the wire: "pixel.events/0"."""
    return f"{place[0]}/{place[1]}"


def place_of(text: str) -> Place:
    """Inverse of `place_text`. Raises ValueError for any other text."""
    if (found := _PLACE.fullmatch(text)) is None:
        raise ValueError(f"{text[:300]!r} is no topic and partition like pixel.events/0")
    return found[1], int(found[2])


def _word(name: str, fields: dict[str, Any]) -> Word | None:
    if name == ASK_KEY.decode():
        return Ask(_id(fields["ask"]), wire_time_us(fields["at"]))
    if name.startswith(_ANSWER):
        offsets = {place_of(text): _offset(offset) for text, offset in fields["offsets"].items()}
        return Answer(_id(fields["answer"]), _id(fields["publisher"]), offsets)
    if name.startswith(_PUBLISHER):
        started_us, beat_us = wire_time_us(fields["started"]), wire_time_us(fields["beat"])
        return Announcement(_id(fields["publisher"]), str(fields["host"]), started_us, beat_us)
    return None


def _is_id(text: Any) -> bool:
    return type(text) is str and _ID.fullmatch(text) is not None


def _id(text: Any) -> str:
    if not _is_id(text):
        raise ValueError(f"an id or a nonce has {ID_CHARS} hex digits")
    return str(text)


def _offset(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("an offset is a number from 0 on")
    return value
