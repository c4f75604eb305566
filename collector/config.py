"""The collector's settings: read once at start and never changed. `pixelgate settings` prints each."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from collector.addresses import Addresses, IpPolicy
from collector.errors import SettingInvalid
from gating.config import KAFKA_BOOTSTRAP, REDIS_URL


class CollectorSettings(BaseSettings):
    """From the environment (`PIXELGATE_*`)."""

    model_config = SettingsConfigDict(env_prefix="PIXELGATE_", frozen=True, extra="ignore", populate_by_name=True)

    data: Path = Field(Path("data"), description="data directory of this host")
    host: str = Field("0.0.0.0", description="address the public port binds")  # noqa: S104  a collector is public
    port: int = Field(8080, ge=0, le=65535, description="public port of the collector")
    worker: int = Field(0, ge=0, description="slot number of this worker process (set by the supervisor)")
    durability: Literal["process", "disk"] = Field(
        "process",
        description="when a hit is answered: once written (survives kill -9) or once synced (survives power loss)",
    )
    connections_max: int = Field(
        10_000, ge=16, le=1_000_000, description="open connections a worker; beyond it 503 and close"
    )
    segment_bytes: int = Field(
        64 * 1024**2, ge=32 * 1024**2, le=1024**3, description="size of a journal segment in bytes"
    )
    linger_us: int = Field(
        0,
        ge=0,
        le=1000,
        description="how long a worker with time to spare waits for more hits before it reads again, in microseconds: "
        "less CPU a hit where two and more come in that time and at most 20,000 a second, later answers; 0: not at "
        "all. Of no effect at durability disk",
    )
    service_times: bool = Field(
        False, description="time each pixel inside its worker, for pixelgate_service_seconds in /metrics (0.6 us a hit)"
    )
    drain_seconds: float = Field(10.0, ge=0, le=300, description="how long a stop waits for open requests")
    tls_certificate: Path | None = Field(
        None, description="PEM file of the certificate and its chain: the public port then speaks HTTPS"
    )
    tls_key: Path | None = Field(None, description="PEM file of its key, where the certificate's holds none")
    redis_url: str | None = Field(None, validation_alias="REDIS_URL", description=REDIS_URL)
    kafka_bootstrap: str | None = Field(None, validation_alias="KAFKA_BOOTSTRAP", description=KAFKA_BOOTSTRAP)


class PublisherSettings(BaseSettings):
    """The publisher's, from the environment (`PIXELGATE_*`)."""

    model_config = SettingsConfigDict(env_prefix="PIXELGATE_", frozen=True, extra="ignore", populate_by_name=True)

    data: Path = Field(Path("data"), description="data directory of this host")
    ip_policy: IpPolicy = Field(
        IpPolicy.TRUNCATE,
        description="what is kept of a visitor's address: full, truncate (IPv4 to /24, IPv6 to /48) or none",
    )
    trusted_proxies: str = Field(
        "", description="addresses and networks whose X-Forwarded-For is believed, separated by commas"
    )
    metrics_port: int = Field(
        0, ge=0, le=65535, description="port for /metrics and health of a role run alone, on 127.0.0.1; 0: none"
    )
    kafka_bootstrap: str | None = Field(None, validation_alias="KAFKA_BOOTSTRAP", description=KAFKA_BOOTSTRAP)
    kafka_partitions: int = Field(
        6, ge=1, le=1000, description="partitions of pixel.events and pixel.hidden where the publisher creates them"
    )
    kafka_compression: Literal["none", "lz4", "zstd"] = Field(
        "lz4", description="how batches are compressed on their way to Kafka and in it"
    )

    def addresses(self) -> Addresses:
        """The address policy. Raises SettingInvalid for a proxy that is no address or network."""
        proxies = [proxy.strip() for proxy in self.trusted_proxies.split(",") if proxy.strip()]
        try:
            return Addresses(self.ip_policy, proxies)
        except ValueError as error:
            raise SettingInvalid("PIXELGATE_TRUSTED_PROXIES", str(error)) from error
