"""A Starlette route that looks a key up in Redis and sends an event to Kafka: what people write first.

Run by uvicorn (`uvicorn loadtest.peers.starlette_route:app`); KAFKA_BOOTSTRAP, REDIS_URL and LINGER_MS say with whom
it talks. Redis holds `write key -> "account verdict"`. The answer waits for Redis, and for room in a batch, not for
Kafka: what is in memory when the process dies is lost, although it was answered.
"""

import contextlib
import os
import uuid
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_network
from itertools import count
from typing import Any, Final

import orjson
from aiokafka import AIOKafkaProducer  # type: ignore[import-untyped]
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from loadtest.peers.wire import GIF, HEADERS

TOPICS: Final = {"ACCEPT": "pixel.events", "HIDE": "pixel.hidden"}
SNIPPET: Final = frozenset(("e", "u", "r", "v", "uid", "t"))
ANSWER_HEADERS: Final = {name.decode(): value.decode() for name, value in HEADERS if name != b"content-length"}
START: Final = uuid.uuid4().hex
_numbers = count(1)


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """Connect to both; at the end send what is on its way."""
    app.state.redis = Redis.from_url(os.environ["REDIS_URL"], decode_responses=True)
    app.state.producer = producer = AIOKafkaProducer(
        bootstrap_servers=os.environ["KAFKA_BOOTSTRAP"],
        acks="all",
        enable_idempotence=True,
        compression_type="lz4",
        linger_ms=int(os.environ.get("LINGER_MS", "0")),
    )
    await producer.start()
    try:
        yield
    finally:
        await producer.stop()
        await app.state.redis.aclose()


async def pixel(request: Request) -> Response:
    """Gate, send, answer; the same GIF whatever the gate says."""
    key = request.path_params["key"]
    found = await request.app.state.redis.get(key)
    account, _, verdict = (found or "").partition(" ")
    if verdict in TOPICS:
        event = event_of(request, key, account, verdict)
        owner = f"{account}:{event['visitor']}" if event["visitor"] else event["id"]
        await request.app.state.producer.send(
            TOPICS[verdict],
            orjson.dumps(event),
            key=owner.encode(),
            headers=[("schema", b"1"), ("verdict", verdict.encode())],
        )
    return Response(GIF, headers=ANSWER_HEADERS)


def event_of(request: Request, key: str, account: str, verdict: str) -> Mapping[str, Any]:
    """All fields of an event, as docs/kafka.md has them."""
    query, headers = request.query_params, request.headers
    return {
        "id": f"{START}-{next(_numbers)}",
        "received_at": _text(datetime.now(UTC)),
        "account": account,
        "write_key": key,
        "verdict": verdict,
        "verified": True,
        "version": 1,
        "name": query.get("e") or "page_view",
        "url": query.get("u") or None,
        "referrer": (query["r"] if "r" in query else headers.get("referer")) or None,
        "visitor": query.get("v") or None,
        "user": query.get("uid") or None,
        "client_time": _client_time(query.get("t", "")),
        "client_id": None,
        "tracker": "pixel",
        "ip": _kept_ip(request.client.host) if request.client else None,
        "user_agent": headers.get("user-agent"),
        "language": headers.get("accept-language", "").partition(",")[0].partition(";")[0].strip() or None,
        "params": {name: value for name, value in query.items() if name not in SNIPPET},
        "revealed_at": None,
    }


def _client_time(milliseconds: str) -> str | None:
    return _text(datetime.fromtimestamp(int(milliseconds) / 1000, UTC)) if milliseconds.isdigit() else None


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@lru_cache(maxsize=4096)
def _kept_ip(address: str) -> str:
    return str(ip_network((address, 48 if ":" in address else 24), strict=False).network_address)


app = Starlette(routes=[Route("/p/{key}.gif", pixel)], lifespan=lifespan)
