"""Local: everything on one machine (`pixelgate run`), or the collector's workers alone (`pixelgate collector`).

Called by commands/roles.py. It checks what can be checked before the first process exists, lets the supervisor start
the roles, and shows the live line; the roles do all the work.
"""

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from collector.journal.directory import journals
from collector.metrics import read_counters
from deploy.demo import demo_write_key, image_tag
from deploy.errors import RoleFailed
from deploy.first_token import first_token
from deploy.live import LiveLine, Meter, Reading
from deploy.output import say
from deploy.ports import answers, demand_free, free_port, unix_answers, url_of
from deploy.settings import environment_of
from deploy.signals import STOP, Signals
from deploy.supervisor import Role, Supervisor
from deploy.workers import cpu_seconds
from gating.datadir import DataDirectory
from gating.errors import PixelgateError
from gating.local_http import LocalClient

READY_SECONDS: Final = 30.0  # the first start migrates the ledger and makes the warehouse, perhaps on a busy machine
POLL_SECONDS: Final = 0.05
ORPHAN_SECONDS: Final = 12.0  # child.py ends the roles of a supervisor that was killed within 10
COLLECTOR_STOP_SECONDS: Final = 15.0  # it answers what it has read
DRAIN_SECONDS: Final = 20.0  # for the consumer to take over what is journalled; the rest waits for the next start
CONSUMER_STOP_SECONDS: Final = 15.0  # it ends the step in hand
PUBLISHER_STOP_SECONDS: Final = 20.0  # it waits for what is in flight, bounded
GATING_STOP_SECONDS: Final = 10.0
LIVE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run and where it listens. port 0: any free one. admin_port 0: none. drain_seconds: the collector's.

    kafka: events go through Kafka, so a publisher runs too.
    """

    host: str
    port: int
    admin_host: str
    admin_port: int
    workers: int
    durability: str
    drain_seconds: float
    kafka: bool = False
    tls_certificate: Path | None = None
    tls_key: Path | None = None

    @property
    def collector_url(self) -> str:
        """Where browsers reach the collector, as seen from this machine."""
        return url_of(self.host, self.port, "http" if self.tls_certificate is None else "https")


def collector_roles(directory: DataDirectory, plan: Plan) -> list[Role]:
    """One role a worker; each keeps its slot number over restarts."""
    common = {"data": directory.root, "host": plan.host, "port": plan.port, "durability": plan.durability}
    common |= {"tls_certificate": plan.tls_certificate, "tls_key": plan.tls_key}
    return [
        Role(
            name=f"collector {slot}",
            module="collector",
            stage=0,
            stop_seconds=plan.drain_seconds + COLLECTOR_STOP_SECONDS,
            environment=environment_of({**common, "worker": slot}),
        )
        for slot in range(plan.workers)
    ]


def all_roles(directory: DataDirectory, plan: Plan) -> list[Role]:
    """The workers stop first: the consumer then finds all they wrote, by the publisher where events go through Kafka;
    gating is there to the end."""
    data = {"data": directory.root, "metrics_port": 0}  # that port is for a role run alone
    publishers = [Role("publisher", "collector.publisher", 2, PUBLISHER_STOP_SECONDS, environment_of(data))]
    admin = {**data, "admin_host": plan.admin_host, "admin_port": plan.admin_port}
    return [
        *collector_roles(directory, plan),
        Role("consumer", "consumers", 1, CONSUMER_STOP_SECONDS, environment_of(data), lambda: drain(directory)),
        *(publishers if plan.kafka else ()),
        Role("gating", "gating", 3, GATING_STOP_SECONDS, environment_of(admin)),
    ]


def drain(directory: DataDirectory) -> None:
    """Wait, bounded, until what the workers left is in the warehouse. What is not is taken over by the next start."""
    try:
        LocalClient(directory.consumer_socket, "consumer").ask(
            "GET", f"/v1/sums?settled={DRAIN_SECONDS:g}", more_seconds=DRAIN_SECONDS
        )
    except PixelgateError as error:
        say(f"what is journalled stays there until the next start: {error}")


def run_everything(directory: DataDirectory, plan: Plan) -> None:
    """Run all roles until told to stop. Raises DataDirectoryInUse, PortBusy or RoleFailed before anything is served."""
    with directory.hold("run"):
        await_orphans(directory)
        plan = settle_ports(plan)
        live = LiveLine()
        meter = Meter(read_counters(directory.counters))
        with (
            Signals({*STOP, signal.SIGCHLD}) as signals,
            Supervisor(all_roles(directory, plan), live.say) as supervisor,
        ):
            supervisor.start()
            if not wait_until(lambda: all_ready(directory, plan, supervisor), signals, supervisor):
                return
            introduce(directory, plan)
            measure(meter, directory, supervisor)  # what the start cost is nobody's hit's
            supervisor.run(signals, LIVE_SECONDS, lambda: live.show(measure(meter, directory, supervisor)))
            live.say("stopping: hits that were read are answered, what is journalled goes to the warehouse")


def run_collector(directory: DataDirectory, plan: Plan, metrics: int = 0) -> None:
    """Run the collector's workers alone until told to stop; they serve with no other role up.

    metrics: the port for /metrics and health, 0 for none.
    """
    from deploy.metrics_port import HOST, Workers, metrics_port  # loads a web framework: not for `run`

    plan = settle_ports(plan)
    if metrics:
        demand_free(HOST, metrics, "--metrics-port")
    workers = Workers(directory, plan.workers)
    with (
        Signals({*STOP, signal.SIGCHLD}) as signals,
        Supervisor(collector_roles(directory, plan), say) as supervisor,
        metrics_port(directory, workers, metrics),
    ):
        supervisor.start()
        if wait_until(lambda: workers_ready(directory, plan, supervisor), signals, supervisor):
            workers.note(supervisor.pids)
            print(f"collector  {plan.collector_url}  {plan.workers} workers", flush=True)
            if metrics:
                print(f"metrics    {url_of(HOST, metrics)}/metrics", flush=True)
            supervisor.run(signals, LIVE_SECONDS, lambda: workers.note(supervisor.pids))


def settle_ports(plan: Plan) -> Plan:
    """The plan with its ports checked and, where any would do, chosen."""
    port = plan.port or free_port(plan.host)
    demand_free(plan.host, port, "--port")
    if plan.admin_port:
        demand_free(plan.admin_host, plan.admin_port, "--admin-port")
    return replace(plan, port=port)


def await_orphans(directory: DataDirectory) -> None:
    """Wait, bounded, for the roles of a supervisor that was killed; they end by themselves and free their ports.

    Raises DataDirectoryInUse where a role goes on: then it runs on its own, and `run` would be in its way. Workers
    that go on are not: whether their port is free is another question.
    """
    until = time.monotonic() + ORPHAN_SECONDS
    while any(journal.live for journal in journals(directory.journals)) and time.monotonic() < until:
        time.sleep(POLL_SECONDS)
    for role in ("gating", "consumer"):
        with directory.claim(role, max(until - time.monotonic(), 0.0)):
            pass


def wait_until(ready: Callable[[], bool], signals: Signals, supervisor: Supervisor) -> bool:
    """Wait until everything works for the first time; False when told to stop meanwhile.

    Raises RoleFailed when a role gives up by itself, or after READY_SECONDS.
    """
    until = time.monotonic() + READY_SECONDS
    while not ready():
        if signals.wait(POLL_SECONDS) - {signal.SIGCHLD}:
            return False
        supervisor.demand_alive()
        supervisor.tick()
        if time.monotonic() > until:
            raise RoleFailed(
                f"not everything was ready within {READY_SECONDS:g} s; `pixelgate doctor` tells what is not"
            )
    return True


def all_ready(directory: DataDirectory, plan: Plan, supervisor: Supervisor) -> bool:
    """Every role answers."""
    sockets = (directory.gating_socket, directory.consumer_socket)
    return workers_ready(directory, plan, supervisor) and all(unix_answers(path) for path in sockets)


def workers_ready(directory: DataDirectory, plan: Plan, supervisor: Supervisor) -> bool:
    """Every worker has published its counters, which it does once it serves, and the port answers."""
    serving = {published.pid for published in read_counters(directory.counters)}
    workers = {pid for name, pid in supervisor.pids.items() if name.startswith("collector")}
    return len(workers) == plan.workers and workers <= serving and answers(plan.host, plan.port)


def introduce(directory: DataDirectory, plan: Plan) -> None:
    """Tell where everything is, with a pixel that is ready to be pasted."""
    from gating.gateway import Gateway

    with Gateway.open(directory) as gateway:
        write_key = demo_write_key(gateway)
        token = first_token(gateway) if plan.admin_port else None
    collector = plan.collector_url
    lines = [("collector", collector)]
    if write_key is not None:
        lines.append(("pixel", image_tag(collector, write_key)))
    if plan.admin_port:
        admin = url_of(plan.admin_host, plan.admin_port)
        lines += [("admin", f"{admin}/metrics"), ("api", f"{admin}/api/v1")]
    if token is not None:
        lines.append(("token", f"{token}  (an operator's, shown this once)"))
    lines.append(("data", str(directory.root)))
    for name, value in lines:
        print(f"{name.ljust(9)}  {value}")
    print("Ctrl-C stops it; nothing is lost.", flush=True)


def measure(meter: Meter, directory: DataDirectory, supervisor: Supervisor) -> Reading:
    """One reading for the live line."""
    workers = [pid for name, pid in supervisor.pids.items() if name.startswith("collector")]
    return meter.read(read_counters(directory.counters), cpu_seconds(workers))
