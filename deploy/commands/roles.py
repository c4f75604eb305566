"""`pixelgate run`, and one role each: `collector`, `publisher`, `gating`, `consumer` (systemd, containers).

`run` and `collector` supervise processes; a single role replaces this one, so that signals and exit codes are its own.
"""

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.session import Session, command, group

if TYPE_CHECKING:
    from deploy.local import Plan


class Durability(StrEnum):
    """When a hit is answered; named by what it survives."""

    PROCESS = "process"
    DISK = "disk"


HostOption = Annotated[
    str | None, typer.Option(metavar="H", help="Address the collector binds. Default: 0.0.0.0, every one")
]
PortOption = Annotated[
    int | None, typer.Option(metavar="P", min=0, max=65535, help="The collector's port; 0 takes any. Default: 8080")
]
AdminPortOption = Annotated[
    int | None, typer.Option(metavar="P", min=0, max=65535, help="Admin port on 127.0.0.1; 0 for none. Default: 8081")
]
WorkersOption = Annotated[
    int | None, typer.Option(metavar="N", min=1, max=256, help="Collector workers. Default: one a core but one")
]
DurabilityOption = Annotated[
    Durability | None,
    typer.Option(help="A hit is answered once written (process) or once synced (disk). Default: process"),
]
CertificateOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Speak HTTPS by this certificate and its chain (PEM)")
]
KeyOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Its key (PEM), where the certificate's file holds none")
]

MetricsPortOption = Annotated[
    int | None,
    typer.Option(
        metavar="P", min=0, max=65535, help="Serve /metrics and /health on this port of 127.0.0.1. Default: none"
    ),
]

consumers = group("Consumers: take journalled events over into the warehouse; erase deleted accounts.")


def register(app: typer.Typer) -> None:
    """Add the commands and the group to the command line."""
    command(app, "run", "pixelgate run --port 8080 --workers 2")(run)
    command(app, "collector", "pixelgate collector --workers 4 --durability disk")(collector)
    command(app, "publisher", "pixelgate publisher --metrics-port 9102")(publisher)
    command(app, "gating", "pixelgate gating --admin-port 8081")(gating)
    app.add_typer(consumers, name="consumer")


def run(
    session: Session,
    host: HostOption = None,
    port: PortOption = None,
    admin_port: AdminPortOption = None,
    workers: WorkersOption = None,
    durability: DurabilityOption = None,
    tls_certificate: CertificateOption = None,
    tls_key: KeyOption = None,
) -> None:
    """Run everything on this machine until Ctrl-C: collector, gating and consumer under one data directory.

    With KAFKA_BOOTSTRAP set a publisher too; with REDIS_URL and DATABASE_URL set, beside the other hosts' services.
    """
    from deploy.local import run_everything

    tls = {"tls_certificate": tls_certificate, "tls_key": tls_key}
    plan = _plan(host=host, port=port, admin_port=admin_port, workers=workers, durability=durability, **tls)
    run_everything(session.directory(), plan)


def collector(
    session: Session,
    host: HostOption = None,
    port: PortOption = None,
    workers: WorkersOption = None,
    durability: DurabilityOption = None,
    tls_certificate: CertificateOption = None,
    tls_key: KeyOption = None,
    metrics_port: MetricsPortOption = None,
) -> None:
    """Run the collector's workers alone; they serve with no other role up."""
    from deploy.config import DeploySettings
    from deploy.local import run_collector
    from deploy.settings import load

    tls = {"tls_certificate": tls_certificate, "tls_key": tls_key}
    # No admin port: that is gating's.
    plan = _plan(host=host, port=port, admin_port=0, workers=workers, durability=durability, **tls)
    metrics = load(DeploySettings, {"metrics_port": metrics_port}).metrics_port
    run_collector(session.directory(), plan, metrics)


def publisher(session: Session, metrics_port: MetricsPortOption = None) -> None:
    """Carry this host's journals to Kafka until stopped; KAFKA_BOOTSTRAP names the brokers."""
    from collector.config import PublisherSettings
    from deploy.settings import load

    load(PublisherSettings, {"metrics_port": metrics_port})
    _become("collector.publisher", session, metrics_port=metrics_port)


def gating(session: Session, admin_port: AdminPortOption = None) -> None:
    """Run the gating service alone: accounts, leases, deadlines, the admin port."""
    from deploy.settings import load
    from gating.config import GatingSettings

    load(GatingSettings, {"admin_port": admin_port})  # what does not read is told here, before another process starts
    _become("gating", session, admin_port=admin_port)


@command(consumers, "materialise", "pixelgate consumer materialise --metrics-port 9101")
def materialise(session: Session, metrics_port: MetricsPortOption = None) -> None:
    """Take journalled events over into the warehouse until stopped."""
    from consumers.config import ConsumerSettings
    from deploy.settings import load

    load(ConsumerSettings, {"metrics_port": metrics_port})
    _become("consumers", session, metrics_port=metrics_port)


@command(consumers, "purge", "pixelgate consumer purge --metrics-port 9103")
def purge(session: Session, metrics_port: MetricsPortOption = None) -> None:
    """Erase deleted accounts until stopped, over a warehouse on ClickHouse; elsewhere `materialise` does it."""
    from consumers.config import ConsumerSettings
    from deploy.settings import load

    load(ConsumerSettings, {"metrics_port": metrics_port})
    _become("consumers", session, "purge", metrics_port=metrics_port)


def _plan(**options: object) -> "Plan":
    """The plan that options and environment give; an option wins."""
    from collector.config import CollectorSettings
    from collector.tls import certificate_of
    from deploy.config import DeploySettings
    from deploy.local import Plan
    from deploy.settings import load
    from gating.config import GatingSettings

    names = ("host", "port", "durability", "tls_certificate", "tls_key")
    collector = load(CollectorSettings, {name: options.get(name) for name in names})
    certificate_of(collector.tls_certificate, collector.tls_key)  # a fault is told here, before a process starts
    gating = load(GatingSettings, {"admin_port": options.get("admin_port")})
    return Plan(
        host=collector.host,
        port=collector.port,
        admin_host=gating.admin_host,
        admin_port=gating.admin_port,
        workers=load(DeploySettings, {"workers": options.get("workers")}).workers,
        durability=collector.durability,
        drain_seconds=collector.drain_seconds,
        kafka=bool(collector.kafka_bootstrap),
        tls_certificate=collector.tls_certificate,
        tls_key=collector.tls_key,
    )


def _become(module: str, session: Session, *words: str, **options: object) -> None:
    """Replace this process by the role's, with the options in its environment."""
    environment = {f"PIXELGATE_{name.upper()}": str(value) for name, value in options.items() if value is not None}
    environment["PIXELGATE_DATA"] = str(session.directory().root)
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-P", "-m", module, *words], {**os.environ, **environment})  # noqa: S606
