"""Apache Kafka in KRaft mode: its own jars from Maven Central (deploy/kafka/pom.xml), one broker or several.

The jars are cached outside the tree, under XDG_CACHE_HOME, by what the pom says.
"""

import hashlib
import os
import shutil
import socket
import subprocess
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path

from tests.processes import ROOT, free_port
from tests.servers.process import Command, ServerMissing, ServerProcess

POM = ROOT / "deploy" / "kafka" / "pom.xml"
HEAP = "512m"
FETCH_SECONDS = 600

# Quick to start and to fail over: what production sets is in deploy/compose.yaml.
SETTINGS = {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",
    "num.partitions": "1",
    "log.cleaner.enable": "true",
    "log.cleaner.dedupe.buffer.size": "2097152",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.num.partitions": "1",
    "controlled.shutdown.enable": "true",
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    # Records of tests bear times of long ago: nobody looks for what is past its retention while they run.
    "log.initial.task.delay.ms": "7200000",
    "log.retention.check.interval.ms": "7200000",
}


class KafkaCluster:
    """Brokers that are controllers too; each can be killed, frozen and started again by its place in `brokers`."""

    def __init__(self, folder: Path, brokers: int = 1, **settings: str) -> None:
        """settings: server.properties with `_` for `.`."""
        jars = fetch_jars()
        folder = folder.resolve()  # the server is started in it
        folder.mkdir(parents=True, exist_ok=True)
        ports = [(free_port(), free_port()) for _ in range(brokers)]
        voters = ",".join(f"{n}@127.0.0.1:{controller}" for n, (_, controller) in enumerate(ports))
        replicas = str(min(brokers, 3))
        common = {
            **SETTINGS,
            "controller.quorum.voters": voters,
            "default.replication.factor": replicas,
            "offsets.topic.replication.factor": replicas,
            "transaction.state.log.replication.factor": replicas,
            "min.insync.replicas": str(max(1, brokers - 1)),
            **{name.replace("_", "."): value for name, value in settings.items()},
        }
        self.bootstrap = ",".join(f"127.0.0.1:{port}" for port, _ in ports)
        self._cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        self.brokers = [
            _Broker(folder / f"broker-{n}", n, self._cluster, jars, common, *ports[n]) for n in range(brokers)
        ]

    def start(self) -> None:
        """Start every broker: all at once, since a majority must be there before any is ready."""
        for broker in self.brokers:
            broker.launch()
        for broker in self.brokers:
            broker.await_ready()

    def stop(self) -> None:
        """Stop every broker; they are thrown away, so not politely."""
        for broker in self.brokers:
            broker.kill()


class _Broker(ServerProcess):
    def __init__(
        self, folder: Path, number: int, cluster: str, jars: Path, common: dict[str, str], port: int, controller: int
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port, self._jars, self._cluster = port, jars, cluster
        self._properties = folder / "server.properties"
        own = {
            "node.id": str(number),
            "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
            "log.dirs": str(folder / "logs"),
        }
        self._properties.write_text("".join(f"{name}={value}\n" for name, value in {**common, **own}.items()))
        super().__init__(f"kafka-{number}", self._java("kafka.Kafka", self._properties), folder, self._answers)

    def launch(self) -> None:
        """Format the log the first time, and start without waiting."""
        if not (self.folder / "logs").exists():
            format_: Command = ["format", f"--cluster-id={self._cluster}", "-c", self._properties]  # may begin with "-"
            done = subprocess.run(
                self._java("kafka.tools.StorageTool", *format_), capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr
        ready, self._ready = self._ready, lambda: True
        try:
            super().start()
        finally:
            self._ready = ready

    def await_ready(self) -> None:
        """Wait until it answers clients."""
        from tests.eventually import eventually

        eventually(lambda: self.must_run() and self._answers(), 60)

    def start(self) -> None:
        """Start it and wait until it answers clients."""
        self.launch()
        self.await_ready()

    def _java(self, main: str, *arguments: str | Path) -> list[str]:
        java = shutil.which("java")
        if java is None:
            raise ServerMissing("Java is not installed: apt-get install default-jre-headless")
        fast = [f"-Xmx{HEAP}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]
        return [java, *fast, "-cp", f"{self._jars}/*", main, *map(str, arguments)]

    def _answers(self) -> bool:
        """An ApiVersions request is answered: the listener opens only once the broker has joined its cluster."""
        request = b"\x00\x12\x00\x00\x00\x00\x00\x01\x00\x04ping"
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as client:
                client.sendall(len(request).to_bytes(4, "big") + request)
                return len(client.recv(4)) == 4
        except OSError:
            return False


def fetch_jars() -> Path:
    """The directory that holds Kafka's jars, fetched the first time. Raises ServerMissing."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pixelgate"
    jars = cache / f"kafka-{hashlib.sha256(POM.read_bytes()).hexdigest()[:16]}"
    if jars.exists():
        return jars
    maven = shutil.which("mvn")
    if maven is None:
        raise ServerMissing("Kafka's jars come through Maven, which is not installed: apt-get install maven")
    temporary = cache / f".{jars.name}-{os.getpid()}"
    command: Command = [
        maven,
        "-q",
        "-B",
        "-f",
        POM,
        "dependency:copy-dependencies",
        f"-DoutputDirectory={temporary}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False)
    if done.returncode != 0:
        shutil.rmtree(temporary, ignore_errors=True)
        raise ServerMissing(f"Kafka's jars cannot be fetched: {(done.stdout + done.stderr).strip()[-500:]}")
    try:
        temporary.rename(jars)
    except OSError:  # another run was first
        shutil.rmtree(temporary, ignore_errors=True)
    return jars
