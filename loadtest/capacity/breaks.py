"""Breaks: what gives out first as hits grow, at how many a second, and what to do then. Pure.

Each is reckoned by itself, at a full core or a full limit and not at the planned load: that is where it breaks, and the
plan's head-room is the way there.
"""

import math
from dataclasses import dataclass
from typing import Final

from loadtest.capacity.costs import Costs
from loadtest.capacity.plan import Cell

WORKER: Final = "one worker"
CELL: Final = "one data directory"
SITE: Final = "the site"
CROWDED_SECONDS: Final = 2.0
"""A worker makes room by closing what has been idle since the second before the present one at least."""


@dataclass(frozen=True, slots=True)
class Break:
    """What breaks, for whom, from how many hits a second on; what is seen, what to do."""

    what: str
    scope: str
    hits: float
    seen: str
    then: str


def breaks(costs: Costs) -> list[Break]:
    """All of them: a worker's and a data directory's first, then the site's, each in the order in which they come."""
    cell = Cell.of(costs)
    worker = cell.hits / cell.workers
    found = [*_small(costs), *_site(costs, worker)]
    scopes = [WORKER, CELL, SITE]
    return sorted(found, key=lambda one: (scopes.index(one.scope), one.hits))


def _small(costs: Costs) -> list[Break]:
    return [
        Break(
            "idle connections are not kept for their whole time", WORKER,
            _filled_at(costs, costs.idle_seconds),
            "more hits on new connections, at their price",
            "raise PIXELGATE_CONNECTIONS_MAX and the open files, or have a load balancer hold the clients",
        ),
        Break(
            "connections at their cap", WORKER,
            _filled_at(costs, CROWDED_SECONDS),
            "503, pixelgate_connections_refused_total", "the same, or more workers",
        ),
        Break(
            "the worker's core", WORKER, 1e6 / costs.mixed_hit_us, "p99 rises with what waits", "another worker",
        ),
        Break(
            "the publisher's core: one process a data directory", CELL, 1e6 / costs.event_us,
            "pixelgate_publisher_owed grows, journals fill",
            "another data directory on the host, with a collector and a publisher of its own",
        ),
    ]  # fmt: skip


def _filled_at(costs: Costs, seconds: float) -> float:
    """Hits a second at which a worker's connections are all open where each stays for so long."""
    each = costs.new_share * seconds
    return costs.connections_max / each if each else math.inf


def _site(costs: Costs, worker: float) -> list[Break]:
    spare_us = 1e6 - costs.lead_us - costs.flips * costs.flip_us
    granted_us = costs.lead_worker_us + costs.flips * costs.lead_flip_us
    each_us = costs.redis_worker_us + costs.flips * costs.redis_flip_us
    return [
        Break(
            f"{costs.partitions:g} partitions, so as many consumers", SITE, costs.partitions * 1e6 / costs.consumed_us,
            "the group's lag grows", "PIXELGATE_KAFKA_PARTITIONS before the topics are made; partitions can be added",
        ),
        Break(
            f"one ClickHouse server of {costs.clickhouse_cores:g} cores", SITE,
            costs.clickhouse_cores * 1e6 / costs.consumed_us, "inserts take longer, parts pile up",
            "a larger server; beyond that a site for each group of accounts: events are not sharded over servers",
        ),
        Break(
            "connections to Redis", SITE, costs.redis_links_max / costs.redis_links * worker,
            "workers without a lease: hits kept unverified", "raise its maxclients and open files",
        ),
        Break(
            f"the leading service's core, at {costs.flips:g} flips/s", SITE, max(0.0, spare_us) / granted_us * worker,
            "leases late, then hits unverified; flips slower",
            "another site (ledger, leader, Redis) for some of the accounts",
        ),
        Break(
            f"Redis' one core, at {costs.flips:g} flips/s", SITE, (1e6 - costs.redis_us) / each_us * worker,
            "flips slower, then leases late", "another site",
        ),
        Break(
            "workers that one leader grants leases to", SITE, costs.workers_max * worker,
            "those beyond it stay without a lease", "another site",
        ),
    ]  # fmt: skip
