"""Topic ids: which incarnation of a topic a broker serves; a deleted topic's name may come back, its id never does.

aiokafka 0.14 speaks Metadata up to version 5 and knows no ids, so version 10 is spelled out here (KIP-516; brokers from
2.8 on) in aiokafka's own words. To be removed once it tells them by itself.
"""

import uuid
from collections.abc import Iterable
from io import BytesIO
from typing import Any, Final

from aiokafka.client import AIOKafkaClient  # type: ignore[import-untyped]
from aiokafka.errors import IncompatibleBrokerVersion  # type: ignore[import-untyped]
from aiokafka.protocol.api import Request, RequestStruct, Response  # type: ignore[import-untyped]
from aiokafka.protocol.types import (  # type: ignore[import-untyped]
    AbstractType,
    Array,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

UNKNOWN: Final = ""
"""The id where the broker is too old to tell one: then only offsets beyond the end show that a topic was made anew."""


class _Uuid(AbstractType[uuid.UUID]):  # type: ignore[misc]
    @classmethod
    def encode(cls, value: uuid.UUID) -> bytes:
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> uuid.UUID:
        return uuid.UUID(bytes=data.read(16))


_TAGS = ("tags", TaggedFields)
_TEXT = CompactString("utf-8")
_NUMBERS = CompactArray(Int32)


def _rows(*fields: Any) -> Array:
    return CompactArray(*fields, _TAGS)


class _Response(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", _rows(("node_id", Int32), ("host", _TEXT), ("port", Int32), ("rack", _TEXT))),
        ("cluster_id", _TEXT),
        ("controller_id", Int32),
        (
            "topics",
            _rows(
                ("error_code", Int16),
                ("name", _TEXT),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    _rows(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", _NUMBERS),
                        ("isr", _NUMBERS),
                        ("offline", _NUMBERS),
                    ),
                ),
                ("operations", Int32),
            ),
        ),
        ("cluster_operations", Int32),
        _TAGS,
    )


class _RequestV10(RequestStruct):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 10
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _Response
    SCHEMA = Schema(
        ("topics", _rows(("topic_id", _Uuid), ("name", _TEXT))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        _TAGS,
    )


class _Request(Request[_RequestV10]):  # type: ignore[misc]
    API_KEY = 3

    def __init__(self, topics: Iterable[str]) -> None:
        self._topics = list(topics)

    def prepare(self, versions: dict[int, tuple[int, int]]) -> _RequestV10:
        oldest, newest = versions.get(self.API_KEY, (0, 0))
        if not oldest <= _RequestV10.API_VERSION <= newest:
            raise IncompatibleBrokerVersion(f"Metadata version {_RequestV10.API_VERSION} is unknown there")
        return self.build(_RequestV10)

    def build(self, request_struct_class: type[_RequestV10]) -> _RequestV10:
        rows: list[tuple[uuid.UUID, str, dict[int, bytes]]] = [(uuid.UUID(int=0), topic, {}) for topic in self._topics]
        return request_struct_class(rows, False, False, False, {})


async def topic_ids(client: AIOKafkaClient, node: int, topics: Iterable[str]) -> dict[str, str]:
    """Ask one broker for the ids of these topics; one that does not exist there now is absent.

    Raises aiokafka's KafkaError where the broker does not answer.
    """
    asked = list(topics)
    try:
        response = await client.send(node, _Request(asked))
    except IncompatibleBrokerVersion:
        return dict.fromkeys(asked, UNKNOWN)
    return {name: topic_id.hex for error, name, topic_id, *_ in response.topics if not error}
