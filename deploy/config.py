"""Deploy's own settings; the roles' lie with the roles."""

import os

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


def workers_default() -> int:
    """One worker a usable core, one core left for gating and the consumer."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, usable - 1)


class DeploySettings(BaseSettings):
    """From the environment (`PIXELGATE_*`)."""

    model_config = SettingsConfigDict(env_prefix="PIXELGATE_", frozen=True, extra="ignore")

    workers: int = Field(
        default_factory=workers_default,
        ge=1,
        le=256,
        description="collector workers on this machine; by default one a core, one core left for the rest",
    )
    metrics_port: int = Field(
        0, ge=0, le=65535, description="port for /metrics and health of a role run alone, on 127.0.0.1; 0: none"
    )
