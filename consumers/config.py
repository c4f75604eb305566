"""The consumers' settings: read once at start, never changed. `pixelgate settings` prints each with its description."""

from pathlib import Path
from typing import Final

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from collector.addresses import Addresses, IpPolicy
from consumers.errors import QuestionInvalid
from gating.config import CLICKHOUSE_URL, DATABASE_URL, KAFKA_BOOTSTRAP

METRICS_HOST: Final = "127.0.0.1"


class ConsumerSettings(BaseSettings):
    """From the environment (`PIXELGATE_*`)."""

    model_config = SettingsConfigDict(env_prefix="PIXELGATE_", frozen=True, extra="ignore", populate_by_name=True)

    data: Path = Field(default=Path("data"), description="data directory of this host")
    ip_policy: IpPolicy = Field(
        default=IpPolicy.TRUNCATE,
        description="what is kept of a visitor's address: full, truncate (IPv4 to /24, IPv6 to /48) or none",
    )
    trusted_proxies: str = Field(
        default="", description="addresses and networks whose X-Forwarded-For is believed, separated by commas"
    )
    metrics_port: int = Field(
        default=0, ge=0, le=65535, description="port for /metrics and health of a role run alone, on 127.0.0.1; 0: none"
    )
    activity_seconds: float = Field(
        default=600.0, gt=0, le=86_400, description="how often accounts' last activity is reported to the ledger"
    )
    database_url: str | None = Field(None, validation_alias="DATABASE_URL", description=DATABASE_URL)
    kafka_bootstrap: str | None = Field(None, validation_alias="KAFKA_BOOTSTRAP", description=KAFKA_BOOTSTRAP)
    clickhouse_url: str | None = Field(None, validation_alias="CLICKHOUSE_URL", description=CLICKHOUSE_URL)

    def addresses(self) -> Addresses:
        """The address policy. Raises QuestionInvalid for a proxy that is no address or network."""
        proxies = [proxy.strip() for proxy in self.trusted_proxies.split(",") if proxy.strip()]
        try:
            return Addresses(self.ip_policy, proxies)
        except ValueError as error:
            raise QuestionInvalid(
                "PIXELGATE_TRUSTED_PROXIES", self.trusted_proxies, f"addresses and networks ({error})"
            ) from error
