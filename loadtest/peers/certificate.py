"""A certificate for one run: self-signed, of the kind that public sites have, made by the `openssl` command."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loadtest.heads import HOST
from loadtest.peers.server import run, tool

DAYS: Final = 7
KIND: Final = "ECDSA P-256"


@dataclass(frozen=True, slots=True)
class Certificate:
    """Where a certificate and its key lie, PEM both."""

    chain: Path
    key: Path


def missing() -> str | None:
    """Say what this machine lacks to make one, or None."""
    return tool("openssl")


def self_signed(folder: Path) -> Certificate:
    """Return the run's certificate, made at the first call for a folder. Raises ServerFailed."""
    made = Certificate(folder / "tls-certificate.pem", folder / "tls-key.pem")
    if not made.chain.exists():
        argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        argv += ["-days", str(DAYS), "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST},IP:127.0.0.1"]
        run([*argv, "-keyout", made.key, "-out", made.chain])
    return made
