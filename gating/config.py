"""Gating's settings: read once at start, never changed. `pixelgate settings` prints each with its description."""

from pathlib import Path
from typing import Final

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

# Said once: several rooms read the same variable, and `pixelgate settings` lists it once.
DATABASE_URL: Final = "PostgreSQL that holds the ledger: postgresql://user:password@host/database. Unset: a file here"
REDIS_URL: Final = (
    "Redis that carries flips and leases between hosts: redis://, rediss:// (TLS) or redis+sentinel://. "
    "Unset: datagrams on this host"
)
KAFKA_BOOTSTRAP: Final = "Kafka brokers that carry events: host:port,host:port. Unset: the journals of this host"
CLICKHOUSE_URL: Final = (
    "ClickHouse that is the warehouse: https://user:password@host:8443/database, or chdb:///path. Unset: a file here"
)


class LedgerSettings(BaseSettings):
    """Which ledger, and no more: for whoever opens it and must not stumble over another setting's fault."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    database_url: str | None = Field(None, validation_alias="DATABASE_URL", description=DATABASE_URL)


class LeadSettings(LedgerSettings):
    """What a service that leads, or would, must reach."""

    redis_url: str | None = Field(None, validation_alias="REDIS_URL", description=REDIS_URL)
    kafka_bootstrap: str | None = Field(None, validation_alias="KAFKA_BOOTSTRAP", description=KAFKA_BOOTSTRAP)


class GatingSettings(LeadSettings):
    """From the environment (`PIXELGATE_*`)."""

    model_config = SettingsConfigDict(env_prefix="PIXELGATE_", frozen=True, extra="ignore", populate_by_name=True)

    data: Path = Field(Path("data"), description="data directory of this host")
    admin_host: str = Field("127.0.0.1", description="address the admin port binds")
    smtp_url: str | None = Field(
        None, description="mail server for notices: smtps://user:password@host:465 or smtp://host:587"
    )
    mail_from: str | None = Field(None, description="address notices come from")
    operators_mail: str | None = Field(None, description="addresses of operators, with commas between them")
    webhook_url: str | None = Field(None, description="where effects are posted, signed. Unset: a file under data")
    webhook_secret: str | None = Field(None, description="what effects are signed with: 24 bytes or more, or whsec_...")
    effects_ca: Path | None = Field(
        None, description="file of certificates (PEM) that effects' receiver and mail server may be signed by too"
    )
    admin_port: int = Field(8081, ge=0, le=65535, description="admin port: /metrics and health; 0 for none")
    auth_tries: int = Field(
        10, ge=0, le=1_000_000, description="wrong tokens that one address may give the admin API before it must wait"
    )
    stripe_secret: str | None = Field(
        None, description="Stripe's signing secret of the webhook endpoint; several by comma while one is rolled"
    )
    paddle_secret: str | None = Field(
        None, description="Paddle Billing's secret key of the notification destination; several by comma"
    )
    webhook_keep_days: int = Field(
        30, ge=4, le=3650, description="days that a webhook's event is kept once nothing waits for it"
    )
