"""Doctor's look at Kafka: is it reached, how new is it, do its topics keep what was promised.

Called by `doctor.py` where KAFKA_BOOTSTRAP is set. Looks, creates nothing, and ends within seconds.
"""

import asyncio
import logging
from typing import Any, Final

from aiokafka.errors import KafkaError  # type: ignore[import-untyped]

from collector.errors import SinkFailed
from collector.publisher.topics import Admin, Topics
from deploy.check import FAIL, OK, WARN, Check

SECONDS_MAX: Final = 20.0
PRODUCE_API: Final = 0
API_VERSIONS: Final = 18
VERSIONS: Final = ((12, "4.0 or later"), (11, "3.8 or 3.9"), (10, "3.7"), (9, "2.4 to 3.6"))
"""The highest version of Produce that a broker speaks, and which releases that is: Kafka tells no release number."""

PRODUCE_MIN: Final = 9


def kafka(bootstrap: str, topics: Topics | None = None) -> Check:
    """One check over the cluster; advice says what to do about the worst that was found."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # its own words beside the one check say less
    try:
        return asyncio.run(asyncio.wait_for(_look(bootstrap, topics or Topics()), SECONDS_MAX))
    except (SinkFailed, KafkaError, OSError, TimeoutError) as error:
        said = str(error) or f"no answer within {SECONDS_MAX:g} s"
        return Check("kafka", FAIL, said, "start it, or correct KAFKA_BOOTSTRAP; hits wait in the journals meanwhile")


async def _look(bootstrap: str, topics: Topics) -> Check:
    async with Admin(bootstrap) as admin:
        names = await admin.names()
        there = [name for name in topics.of_events if name in names]
        states = await admin.states(there) if there else []
        brokers = await admin.brokers()
    produce = await _produce_version(bootstrap)
    release = next((text for version, text in VERSIONS if produce >= version), "older than 2.4")
    found = [f"{brokers} broker(s) of release {release}"]
    found += [
        f"{state.name}: {state.partitions} partitions, {state.replicas} replica(s), "
        f"min.insync.replicas {state.in_sync_min}, kept {_span(state.retention_ms)}"
        for state in states
    ]
    doubts = [doubt for state in states for doubt in state.doubts()]
    if produce < PRODUCE_MIN:
        return Check("kafka", FAIL, "; ".join(found), "use Kafka 2.4 or later; tests run against 4.1")
    if len(there) < 2:
        doubts.append("topics are missing: `pixelgate publisher` creates them at its start")
    return Check("kafka", WARN if doubts else OK, "; ".join(found), "; ".join(doubts))


def _span(retention_ms: int) -> str:
    return "without bound" if retention_ms < 0 else f"{retention_ms / 3_600_000:.0f} h"


async def _produce_version(bootstrap: str) -> int:
    """The highest version of Produce that the first broker to answer speaks, by an ApiVersions request of its own."""
    fault: Exception = OSError("KAFKA_BOOTSTRAP names no broker")
    for place in bootstrap.split(","):
        host, _, port = place.strip().rpartition(":")
        try:
            return await _asked(host or place.strip(), int(port) if port.isdigit() else 9092)
        except (OSError, ValueError, asyncio.IncompleteReadError) as error:
            fault = error
    raise OSError(str(fault))


async def _asked(host: str, port: int) -> int:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        request = API_VERSIONS.to_bytes(2, "big") + b"\0\0" + b"\0\0\0\1" + b"\0\6doctor"
        writer.write(len(request).to_bytes(4, "big") + request)
        size = int.from_bytes(await reader.readexactly(4), "big")
        answer = await reader.readexactly(size)
    finally:
        writer.close()
    count = int.from_bytes(answer[6:10], "big")
    ranges = [answer[10 + 6 * at : 16 + 6 * at] for at in range(count)]
    versions: dict[int, Any] = {int.from_bytes(one[:2], "big"): int.from_bytes(one[4:6], "big") for one in ranges}
    if PRODUCE_API not in versions:
        raise ValueError(f"{host}:{port} does not answer as a Kafka broker does")
    return int(versions[PRODUCE_API])
