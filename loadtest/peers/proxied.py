"""Pixelgate behind a proxy on its own host that ends TLS, as most people run it: nginx, on the collector's core."""

from pathlib import Path

from loadtest.bench.cpu import Cores
from loadtest.peers import certificate, nginx
from loadtest.peers.pixelgate import Accounts, Pixelgate
from loadtest.peers.server import Place, Running, ServerFailed, tool


class PixelgateBehindNginx(Pixelgate):
    """A proxy that keeps its connections to the collector; the CPU time of both counts, and is told apart."""

    def __init__(self, accounts: Accounts, name: str) -> None:
        super().__init__(accounts, "process", name)
        self.tls = True  # to the load; the collector behind speaks plain HTTP
        self.job += f"; nginx on the same core ends TLS ({certificate.KIND} certificate) and passes hits on, and counts"

    def missing(self) -> str | None:
        """It needs what a collector without TLS does, nginx, and `openssl`."""
        return self.lacks() or tool("nginx") or certificate.missing()

    def prepare(self, folder: Path, cores: Cores) -> None:  # noqa: ARG002  (as every other server is prepared)
        """Make accounts and certificate."""
        self.make_accounts()
        self._front_certificate = certificate.self_signed(folder)

    def version(self) -> str:
        """Both."""
        return f"{super().version()}, {nginx.version()}"

    def start(self, place: Place) -> Running:
        """Start the collector, then nginx before it."""
        behind = super().start(place)
        values = {"UPSTREAM": str(behind.port)}
        try:
            front = nginx.start(nginx.HERE / "tls_proxy.conf", place, values, self._front_certificate)
        except (ServerFailed, OSError):
            behind.stop()
            raise
        return Running(
            behind.process,
            front.port,
            behind.words,
            beside=behind.beside,
            kept=behind.kept,
            front=front.process,
            tls=True,
        )
