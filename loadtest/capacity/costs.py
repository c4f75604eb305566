"""Costs: what a plan is reckoned from. A measured one says where; an assumption is the reader's to change.

Units are in the names: us is CPU time in microseconds, mb and gb are 10^6 and 10^9 bytes.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from typing import Any, Final

MEASURED: Final = "measured"
ASSUMED: Final = "assumed"
LIMIT: Final = "limit"


class CostInvalid(ValueError):
    """No such cost, or a value no plan can be made from; the message says what can be."""


def _cost(value: float, kind: str, meaning: str, where: str) -> Any:
    return field(default=value, metadata={"kind": kind, "meaning": meaning, "where": where})


@dataclass(frozen=True, slots=True)
class Costs:
    """All inputs of a plan, in the order in which a hit meets them."""

    hit_us: float = _cost(12.7, MEASURED, "CPU of a kept hit on a kept connection", "results.md, 65,536 heads")
    new_hit_us: float = _cost(33.7, MEASURED, "CPU of a kept hit on a new connection", "results.md")
    new_share: float = _cost(0.2, ASSUMED, "hits that come on a new connection", "your load balancer tells")
    idle_seconds: float = _cost(75, LIMIT, "an idle connection is kept", "collector/limits.py")
    connections_max: float = _cost(10_000, LIMIT, "open connections a worker", "PIXELGATE_CONNECTIONS_MAX")
    worker_mb: float = _cost(47, MEASURED, "memory of a worker with few keys", "keys.md")
    key_bytes: float = _cost(166, MEASURED, "memory of a write key in a worker", "keys.md")
    keys: float = _cost(100_000, ASSUMED, "write keys", "your ledger tells")
    busy: float = _cost(0.6, ASSUMED, "of each core, disk and network that is planned for", "head-room for bursts")
    cores: float = _cost(16, ASSUMED, "cores of a collector host", "your hosts")
    nic_mbit: float = _cost(10_000, ASSUMED, "its network, Mbit/s each way", "your hosts")
    disk_mb: float = _cost(500, ASSUMED, "its disk writes, MB/s", "your hosts")
    disk_gb: float = _cost(1_000, ASSUMED, "its disk holds, GB", "your hosts")
    spare: float = _cost(1, ASSUMED, "collector hosts that may be away", "N + 1")
    head_bytes: float = _cost(813, MEASURED, "a browser's head", "loadtest/heads.py, mean")
    answer_bytes: float = _cost(314, MEASURED, "an answer", "as it is on the wire")
    packet_bytes: float = _cost(78, ASSUMED, "a packet's own: Ethernet, IP, TCP", "their standards")
    journal_bytes: float = _cost(865, MEASURED, "a kept hit in the journal", "a full segment of loadtest.heads")
    journal_gb: float = _cost(34.4, LIMIT, "journal of one worker start", "collector/journal/writer.py")
    ready_fill: float = _cost(0.85, LIMIT, "fill from which a worker is not ready", "collector/journal/writer.py")
    event_us: float = _cost(12.2, MEASURED, "CPU of the publisher an event, LZ4", "scaled.md")
    wire_bytes: float = _cost(134, MEASURED, "an event in Kafka, LZ4", "318,518 events of loadtest.heads")
    replicas: float = _cost(3, ASSUMED, "copies of an event in Kafka", "usual")
    retention_days: float = _cost(3, ASSUMED, "Kafka keeps an event", "the least that is not warned about")
    broker_mb: float = _cost(100, ASSUMED, "writes of a broker, replicas included, MB/s", "your brokers")
    partitions: float = _cost(6, LIMIT, "partitions that are made by default", "PIXELGATE_KAFKA_PARTITIONS")
    consumed_us: float = _cost(9.4, MEASURED, "CPU of consumer and ClickHouse's engine an event", "scaled.md")
    batch: float = _cost(25_000, LIMIT, "events of an insert", "consumers/loop.py")
    row_bytes: float = _cost(84, MEASURED, "an event in ClickHouse, packed", "the same, active parts of chDB")
    clickhouse_cores: float = _cost(32, ASSUMED, "cores of the ClickHouse server", "your server")
    flips: float = _cost(10, ASSUMED, "flips a second", "your operators and webhooks")
    flips_max: float = _cost(528, MEASURED, "flips a second on PostgreSQL, 2 cores", "lifecycle.md")
    flip_us: float = _cost(1_680, MEASURED, "CPU of the leading service a flip", "lifecycle.md, PostgreSQL")
    lead_us: float = _cost(23_800, MEASURED, "CPU of the leading service a second, no worker", "growth.md, hosts")
    lead_worker_us: float = _cost(540, MEASURED, "CPU of the leading service a worker and second", "growth.md, hosts")
    lead_flip_us: float = _cost(256, MEASURED, "CPU of the leading service a flip and worker", "growth.md, hosts")
    redis_us: float = _cost(2_240, MEASURED, "CPU of Redis a second, no worker", "growth.md, hosts")
    redis_worker_us: float = _cost(338, MEASURED, "CPU of Redis a worker and second", "growth.md, hosts")
    redis_flip_us: float = _cost(99, MEASURED, "CPU of Redis a flip and worker", "growth.md, hosts")
    redis_links: float = _cost(4, MEASURED, "connections of a worker to Redis", "growth.md, hosts")
    redis_links_max: float = _cost(10_000, LIMIT, "connections that Redis takes", "its maxclients")
    redis_calls: float = _cost(9, MEASURED, "commands to Redis a worker and second", "growth.md, hosts")
    redis_flip_calls: float = _cost(2.8, MEASURED, "commands to Redis a flip and worker", "growth.md, hosts")
    workers_max: float = _cost(10_000, LIMIT, "workers of one leader", "gating/fence.py")

    @property
    def mixed_hit_us(self) -> float:
        """CPU of a hit, new connections in their share."""
        return (1 - self.new_share) * self.hit_us + self.new_share * self.new_hit_us


MAY_BE_ZERO: Final = frozenset(
    {
        "new_share",
        "idle_seconds",
        "worker_mb",
        "key_bytes",
        "keys",
        "spare",
        "packet_bytes",
        "retention_days",
        "row_bytes",
    }
    | {"flips", "flip_us", "lead_us", "lead_flip_us", "redis_us", "redis_flip_us", "redis_calls", "redis_flip_calls"}
)
SHARES: Final = frozenset({"new_share", "busy", "ready_fill"})


def told() -> list[tuple[str, float, Mapping[str, str]]]:
    """Name, value and words of each input."""
    return [(one.name, float(one.default), one.metadata) for one in fields(Costs)]  # type: ignore[arg-type]


def changed(costs: Costs, values: Mapping[str, float]) -> Costs:
    """The same inputs, some with other values. Raises CostInvalid."""
    names = [name for name, _, _ in told()]
    for name, value in values.items():
        if name not in names:
            near = get_close_matches(name, names, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(names)}"
            raise CostInvalid(f"no cost is named {name!r}{hint}")
        least = "0 or more" if name in MAY_BE_ZERO else "above 0"
        if not math.isfinite(value) or value < 0 or (value == 0 and name not in MAY_BE_ZERO):
            raise CostInvalid(f"{name} must be {least}, not {value:g}")
        if name in SHARES and value > 1:
            raise CostInvalid(f"{name} is a share: 0 to 1, not {value:g}")
    return replace(costs, **values)
