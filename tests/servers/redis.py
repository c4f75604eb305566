"""Debian's redis-server: alone, as a replica, behind TLS or as a Sentinel, by its own options."""

import shutil
import socket
from pathlib import Path

from tests.processes import free_port
from tests.servers.process import ServerMissing, ServerProcess


class RedisServer(ServerProcess):
    """One redis-server that keeps what it is told in its folder only if asked (`--save`, `--appendonly`).

    options: redis.conf directives, each `--name value ...` as on its command line.
    """

    def __init__(self, folder: Path, *options: str, port: int = 0, name: str = "redis") -> None:
        binary = shutil.which("redis-server")
        if binary is None:
            raise ServerMissing("redis-server is not installed: apt-get install redis-server")
        folder = folder.resolve()  # the server is started in it
        folder.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        plain = [] if "--port" in options else ["--port", str(self.port)]
        fixed = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"]
        command = [binary, *fixed, "--dir", str(folder), *plain, *options]
        super().__init__(name, command, folder, self._answers)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        except OSError:
            return False


def sentinel(folder: Path, name: str, master_port: int, *, down_ms: int = 500) -> RedisServer:
    """A Sentinel that watches one master under `name`, alone (quorum 1); its URL's port is the Sentinel's."""
    folder = folder.resolve()  # as RedisServer does
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    (folder / "sentinel.conf").write_text(
        f"port {port}\nbind 127.0.0.1\ndir {folder}\n"
        f"sentinel monitor {name} 127.0.0.1 {master_port} 1\n"
        f"sentinel down-after-milliseconds {name} {down_ms}\n"
        f"sentinel failover-timeout {name} 5000\n"
    )
    server = RedisServer(folder, port=port, name=f"sentinel-{name}")
    binary = shutil.which("redis-server")
    server._command = [str(binary), str(folder / "sentinel.conf"), "--sentinel"]
    return server
