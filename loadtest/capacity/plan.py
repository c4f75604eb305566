"""Plan: what so many hits a second need. Pure.

What is multiplied is a *cell*: one data directory with one publisher, which is one process, and as many workers as
it can carry. A host has as many cells as its cores, its network and its disk bear.
"""

import math
from dataclasses import dataclass
from typing import Final

from loadtest.capacity.costs import CostInvalid, Costs

BROKERS_MIN: Final = 3
DAY_SECONDS: Final = 86_400
PARTITIONS_A_CONSUMER: Final = 2
"""So that one consumer more or less shifts a half of one's load, and a visitor's hot partition has room beside it."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A data directory: its workers, what they and its publisher take in at the planned load."""

    workers: int
    hits: float

    @classmethod
    def of(cls, costs: Costs) -> "Cell":
        """As many workers as one publisher can carry, but one at least."""
        worker = costs.busy * 1e6 / costs.mixed_hit_us
        publisher = costs.busy * 1e6 / costs.event_us
        workers = max(1, math.floor(publisher / worker))
        return cls(workers, min(workers * worker, publisher))


@dataclass(frozen=True, slots=True)
class Host:
    """A collector host: hits a second it bears as planned, and what binds it."""

    hits: float
    bound_by: str

    @classmethod
    def of(cls, costs: Costs) -> "Host":
        """The least of what cores, network and disk bear."""
        bears = {
            "cores": costs.cores * 1e6 / (costs.mixed_hit_us + costs.event_us),
            "network in": costs.nic_mbit * 1e6 / 8 / in_bytes(costs),
            "network out": costs.nic_mbit * 1e6 / 8 / out_bytes(costs),
            "disk": costs.disk_mb * 1e6 / costs.journal_bytes,
        }
        bound_by = min(bears, key=lambda name: bears[name])
        return cls(costs.busy * bears[bound_by], bound_by)


def in_bytes(costs: Costs) -> float:
    """What a hit brings in: its head, and a bare packet that acknowledges the answer."""
    return costs.head_bytes + 2 * costs.packet_bytes


def out_bytes(costs: Costs) -> float:
    """What a hit sends out: its answer, and its event to Kafka."""
    return costs.answer_bytes + costs.packet_bytes + costs.wire_bytes


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything for `hits` a second. Rates are for the whole site unless named for a host."""

    hits: float
    cell: Cell
    host: Host
    hosts: int
    cells: int
    workers: int
    cells_a_host: float
    workers_cores: float
    publishers_cores: float
    host_in_mbit: float
    host_out_mbit: float
    host_disk_mb: float
    host_memory_gb: float
    spool_minutes: float
    spool_bound_by: str
    kafka_mb: float
    brokers: int
    kafka_tb: float
    consumers: int
    partitions: int
    inserts: float
    clickhouse_cores: float
    row_gb_a_day: float
    redis_links: float
    redis_calls: float
    redis_cores: float
    lead_cores: float


def plan(costs: Costs, hits: float) -> Plan:
    """Reckon it. Raises CostInvalid for no hits."""
    if not math.isfinite(hits) or hits <= 0:
        raise CostInvalid(f"hits a second must be above 0, not {hits:g}")
    cell, host = Cell.of(costs), Host.of(costs)
    needed = math.ceil(hits / host.hits)
    cells = max(needed, math.ceil(hits / cell.hits))
    workers = cells * cell.workers
    a_host = hits / needed
    minutes, bound_by = _spool(costs, hits / workers, a_host)
    kafka_mb = hits * costs.wire_bytes / 1e6
    consumers = math.ceil(hits * costs.consumed_us / 1e6 / costs.busy)
    return Plan(
        hits=hits, cell=cell, host=host, hosts=needed + math.ceil(costs.spare), cells=cells, workers=workers,
        cells_a_host=cells / needed, workers_cores=hits * costs.mixed_hit_us / 1e6,
        publishers_cores=hits * costs.event_us / 1e6, host_in_mbit=a_host * in_bytes(costs) * 8 / 1e6,
        host_out_mbit=a_host * out_bytes(costs) * 8 / 1e6, host_disk_mb=a_host * costs.journal_bytes / 1e6,
        host_memory_gb=workers / needed * (costs.worker_mb * 2**20 + costs.keys * costs.key_bytes) / 1e9,
        spool_minutes=minutes, spool_bound_by=bound_by, kafka_mb=kafka_mb,
        brokers=max(BROKERS_MIN, math.ceil(kafka_mb * costs.replicas / (costs.broker_mb * costs.busy))),
        kafka_tb=kafka_mb * costs.replicas * costs.retention_days * DAY_SECONDS / 1e6, consumers=consumers,
        partitions=PARTITIONS_A_CONSUMER * consumers, inserts=hits / costs.batch,
        clickhouse_cores=hits * costs.consumed_us / 1e6, row_gb_a_day=hits * costs.row_bytes * DAY_SECONDS / 1e9,
        redis_links=workers * costs.redis_links,
        redis_calls=workers * (costs.redis_calls + costs.flips * costs.redis_flip_calls),
        redis_cores=redis_us(costs, workers) / 1e6, lead_cores=lead_us(costs, workers) / 1e6,
    )  # fmt: skip


def _spool(costs: Costs, worker_hits: float, host_hits: float) -> tuple[float, str]:
    """Minutes until the first worker is not ready with nobody reading its journal, and what is full then."""
    full = {
        "the journal's own limit": costs.journal_gb * 1e9 / (worker_hits * costs.journal_bytes),
        "the disk": costs.disk_gb * 1e9 / (host_hits * costs.journal_bytes),
    }
    bound_by = min(full, key=lambda name: full[name])
    return costs.ready_fill * full[bound_by] / 60, bound_by


def redis_us(costs: Costs, workers: float) -> float:
    """CPU of Redis a second, in microseconds."""
    return costs.redis_us + workers * (costs.redis_worker_us + costs.flips * costs.redis_flip_us)


def lead_us(costs: Costs, workers: float) -> float:
    """CPU of the leading gating service a second, in microseconds."""
    each_us = costs.lead_worker_us + costs.flips * costs.lead_flip_us
    return costs.lead_us + workers * each_us + costs.flips * costs.flip_us
