"""Gating's settings: read once at start, never changed. `pixelgate settings` prints each with its description."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class GatingSettings(BaseSettings):
    """From the environment (`PIXELGATE_*`)."""

    model_config = SettingsConfigDict(env_prefix="PIXELGATE_", frozen=True, extra="ignore")

    data: Path = Field(Path("data"), description="data directory of this host")
    admin_host: str = Field("127.0.0.1", description="address the admin port binds")
    admin_port: int = Field(8081, ge=0, le=65535, description="admin port: /metrics and health; 0 for none")
