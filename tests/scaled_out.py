"""A site of several hosts: collectors with a publisher each, one gating service, one consumer, on real engines.

A host is a data directory of its own, as it would be on a machine of its own. Whoever kills an engine starts it again.
"""

import contextlib
import json
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.eventually import eventually
from tests.processes import accepts, answers, environment, free_port
from tests.servers import KafkaCluster, PostgresServer, RedisServer
from tests.system import PIXELGATE

STOP_SECONDS = 60


class Role:
    """One `pixelgate ROLE` process."""

    def __init__(self, name: str, data: Path, log: Path, settings: dict[str, str], *arguments: str) -> None:
        self.name, self.log = name, log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [PIXELGATE, "--data", data, *name.split(), *arguments],
                stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=environment(data, **settings),
            )  # fmt: skip

    def must_live(self) -> bool:
        """True; fails with what it printed where it has exited."""
        assert self.process.poll() is None, f"{self.name}:\n{self.log.read_text()[-4000:]}"
        return True

    def stop(self) -> None:
        """SIGINT: exit 0."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(STOP_SECONDS) == 0, f"{self.name}:\n{self.log.read_text()[-4000:]}"

    def kill(self) -> None:
        """SIGKILL; harmless where it is gone."""
        self.process.kill()
        self.process.wait()


@dataclass
class Engines:
    """The four, as URLs; the servers behind three of them are here to be killed."""

    redis: RedisServer
    kafka: KafkaCluster
    postgres: PostgresServer
    folder: Path
    database_url: str = ""
    clickhouse_url: str = field(init=False)

    def __post_init__(self) -> None:
        self.clickhouse_url = f"chdb://{self.folder / 'clickhouse'}"

    def start(self) -> None:
        for server in (self.redis, self.postgres, self.kafka):
            server.start()
        self.database_url = self.postgres.database()

    def stop(self) -> None:
        for server in (self.kafka, self.postgres, self.redis):
            server.stop()

    @property
    def settings(self) -> dict[str, str]:
        return {
            "redis_url": self.redis.url,
            "kafka_bootstrap": self.kafka.bootstrap,
            "database_url": self.database_url,
            "clickhouse_url": self.clickhouse_url,
        }


class Site:
    """`ports` are the collectors', one a host; `json` and `cli` are an operator's command line where gating runs."""

    def __init__(self, folder: Path, engines: Engines, hosts: int = 2) -> None:
        self.folder, self.engines = folder, engines
        self.center = folder / "center"
        self.hosts = [folder / f"host-{n}" for n in range(hosts)]
        self.ports = [free_port() for _ in range(hosts)]
        self.admin_port = free_port()
        self.roles: list[Role] = []

    def cli(self, *arguments: str, code: int = 0, data: Path | None = None) -> subprocess.CompletedProcess[str]:
        """A command that must end with this exit code. data: on another host than the center."""
        data = data or self.center
        done = subprocess.run(
            [PIXELGATE, "--data", data, *arguments], capture_output=True, text=True, timeout=180, check=False,
            env=environment(data, **self.engines.settings),
        )  # fmt: skip
        assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr, self.logs())
        return done

    def json(self, *arguments: str, data: Path | None = None) -> Any:
        """A command's one JSON document."""
        return json.loads(self.cli(*arguments, "--json", data=data).stdout)

    def must_conserve(self, events: int) -> None:
        """I4, I10: on each host what was counted, journalled and is in the warehouse add up; and all hosts to `events`.

        Nothing runs: the warehouse is chDB's, which one process holds.
        """
        sums = [self.json("verify", data=host) for host in self.hosts]
        assert [one["faults"] for one in sums] == [[] for _ in self.hosts]
        assert sum(one["warehouse"] for one in sums) == events

    def logs(self) -> str:
        """The end of what each role printed."""
        return "\n".join(f"--- {role.name}\n{role.log.read_text()[-1500:]}" for role in self.roles)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Started, and at the end stopped in order: whoever is downstream finds all that came before."""
        try:
            self._start()
            yield
            for role in self.roles:
                role.must_live()
            for role in reversed(self.roles):
                role.stop()
        finally:
            for role in self.roles:
                role.kill()
            self.roles.clear()

    def _start(self) -> None:
        center = ("gating", "--admin-port", str(self.admin_port))
        gating = self._role("gating", self.center, *center[1:])
        eventually(lambda: gating.must_live() and answers(self.center / "gating.sock"), 60)
        consumer = self._role("consumer materialise", self.center)
        for host, port in zip(self.hosts, self.ports, strict=True):
            self._role("publisher", host)
            self._role("collector", host, "--host", "127.0.0.1", "--port", str(port), "--workers", "1")
        eventually(lambda: consumer.must_live() and answers(self.center / "consumer.sock"), 60)
        for port in self.ports:
            eventually(lambda port=port: self.must_live() and accepts(port), 60)

    def must_live(self) -> bool:
        """True; fails with what a role printed that has exited."""
        return all(role.must_live() for role in self.roles)

    def _role(self, name: str, data: Path, *arguments: str) -> Role:
        log = self.folder / f"{data.name}-{name.split(maxsplit=1)[0]}.log"
        role = Role(name, data, log, self.engines.settings, *arguments)
        self.roles.append(role)
        return role
