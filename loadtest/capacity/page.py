"""A plan as Markdown. Pure."""

import math
from collections.abc import Sequence

from loadtest.bench.report import table
from loadtest.capacity.breaks import breaks
from loadtest.capacity.costs import Costs, told
from loadtest.capacity.plan import Plan, plan


def plans(costs: Costs, hits: Sequence[float]) -> str:
    """One column for each number of hits a second."""
    made = [plan(costs, one) for one in hits]
    columns = [_rows(one, costs) for one in made]
    rows = [[name, *(dict(column)[name] for column in columns)] for name, _ in columns[0]]
    return table(["", *(f"{one:,.0f} hits/s" for one in hits)], rows)


def _rows(one: Plan, costs: Costs) -> list[tuple[str, str]]:
    return [
        ("collector hosts", f"{one.hosts:,} ({costs.spare:g} spare), bound by {one.host.bound_by}"),
        ("hits/s a host, spare away", f"{one.hits / (one.hosts - math.ceil(costs.spare)):,.0f}"),
        ("data directories a host, workers in each", f"{one.cells_a_host:,.1f}, {one.cell.workers}"),
        ("workers in all", f"{one.workers:,}"),
        ("cores that workers use", f"{one.workers_cores:,.0f}"),
        ("cores that publishers use", f"{one.publishers_cores:,.0f}"),
        ("network of a host, in and out, Mbit/s", f"{one.host_in_mbit:,.0f}, {one.host_out_mbit:,.0f}"),
        ("journal writes of a host, MB/s", f"{one.host_disk_mb:,.0f}"),
        ("memory of a host's workers, GB", f"{one.host_memory_gb:,.1f}"),
        ("Kafka may be away, minutes", f"{one.spool_minutes:,.0f}, bound by {one.spool_bound_by}"),
        ("Kafka takes in, MB/s", f"{one.kafka_mb:,.0f}"),
        ("brokers", f"{one.brokers:,}"),
        ("Kafka's disks, all replicas, TB", f"{one.kafka_tb:,.1f}"),
        ("partitions of pixel.events", f"{one.partitions:,}"),
        ("consumers", f"{one.consumers:,}"),
        ("ClickHouse: inserts/s", f"{one.inserts:,.0f}"),
        ("ClickHouse: cores at most, consumers' part included", f"{one.clickhouse_cores:,.0f}"),
        ("ClickHouse: GB a day", f"{one.row_gb_a_day:,.0f}"),
        ("Redis: connections", f"{one.redis_links:,.0f}"),
        ("Redis: commands/s", f"{one.redis_calls:,.0f}"),
        ("Redis: cores", f"{one.redis_cores:,.2f}"),
        ("leading gating service: cores", f"{one.lead_cores:,.2f}"),
        ("PostgreSQL: flips/s of those it bears", f"{costs.flips:,.0f} of {costs.flips_max:,.0f}"),
    ]


def broken(costs: Costs) -> str:
    """What breaks first."""
    rows = [
        [one.what, one.scope, "never" if math.isinf(one.hits) else f"{_rounded(one.hits):,.0f}", one.seen, one.then]
        for one in breaks(costs)
    ]
    return table(("what gives out", "of", "from hits/s", "seen by", "then"), rows)


def _rounded(value: float) -> float:
    """To three digits: no figure here is known better."""
    return float(f"{value:.3g}")


def inputs(costs: Costs) -> str:
    """Every input with its value now, and whose word it is."""
    rows = []
    for name, default, words in told():
        value = getattr(costs, name)
        where = words["where"] if value == default else f"set; {words['kind']} {default:g}"
        rows.append([name, f"{value:,g}", words["meaning"], words["kind"] if value == default else "set", where])
    return table(("input", "value", "what", "kind", "from"), rows)
