"""Debian's PostgreSQL: a cluster of its own in a folder, trusting whoever comes over loopback."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import psycopg

from tests.eventually import eventually
from tests.processes import free_port
from tests.servers.process import Command, ServerMissing, ServerProcess

SETTINGS = {
    "fsync": "off",  # a test's cluster is thrown away; what a commit costs is the benchmark's question
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "timezone": "UTC",
}


class PostgresServer(ServerProcess):
    """One server; `database()` gives each caller an empty database of its own. As root it runs as user `postgres`."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self._binaries = _binaries()
        self._owner = "postgres" if os.geteuid() == 0 else None
        if self._owner is not None:
            # Not under the caller's: pytest closes its folders to other users again whenever another run begins.
            self._kept = tempfile.TemporaryDirectory(prefix="pixelgate-postgres-")  # goes with this object
            folder = Path(self._kept.name)
        folder = self._folder = folder.resolve()  # the server is started in it
        self.port, self._databases = free_port(), 0
        folder.mkdir(parents=True, exist_ok=True)
        self.data = folder / "data"
        options: Command = [f"--{name}={value}" for name, value in {**SETTINGS, **settings}.items()]
        command: Command = [
            self._binaries / "postgres",
            "-D",
            self.data,
            "-p",
            str(self.port),
            "-k",
            folder,
            *options,
        ]
        super().__init__(
            "postgres", command, folder, self._answers, stop_signal=signal.SIGINT, user=self._owner
        )  # SIGINT: its fast shutdown, which does not wait for clients

    @property
    def url(self) -> str:
        return self.url_of("postgres")

    def url_of(self, database: str, user: str = "postgres") -> str:
        """A URL as people write it in DATABASE_URL."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Make the cluster the first time, then start it."""
        if not self.data.exists():
            self._make()
        super().start()

    def database(self, *, icu: bool = False) -> str:
        """The URL of a new, empty database. icu: one that sorts as people do, not by bytes, where the release can."""
        self._databases += 1
        name = f"test_{self._databases}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            sorts = icu and connection.info.server_version >= 150_000
            order = " LOCALE_PROVIDER icu ICU_LOCALE 'en-US' TEMPLATE template0" if sorts else ""
            connection.execute(f"CREATE DATABASE {name}{order}")
        return self.url_of(name)

    def kill(self) -> None:
        """SIGKILL for the server and all it has forked, as a host's crash would be; returns when they are gone."""
        children = self._children() if self.running else []
        super().kill()
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        eventually(lambda: not any(Path(f"/proc/{child}").exists() for child in children))

    def freeze(self) -> None:
        """SIGSTOP for the server and all it has forked: it takes connections, and answers nothing."""
        for process in (self.pid, *self._children()):
            os.kill(process, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT for all of them."""
        for process in (*self._children(), self.pid):
            with contextlib.suppress(ProcessLookupError):  # a backend that ended meanwhile
                os.kill(process, signal.SIGCONT)

    def _children(self) -> list[int]:
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def _make(self) -> None:
        if self._owner is not None:
            owner = pwd.getpwnam(self._owner)
            os.chown(self._folder, owner.pw_uid, owner.pw_gid)
        command: Command = [
            self._binaries / "initdb",
            "-D",
            self.data,
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "-N",
        ]
        done = subprocess.run(
            [*command, "--locale=C"], cwd=self._folder, user=self._owner, group=self._owner,
            extra_groups=[] if self._owner else None, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.Error:
            return False
        return True


def _binaries() -> Path:
    """Where initdb and postgres lie: Debian keeps them out of the PATH, one directory a version."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not versions:
        raise ServerMissing("PostgreSQL is not installed: apt-get install postgresql")
    return versions[-1].parent
