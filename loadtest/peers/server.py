"""What a measured server is: the class that the benchmark drives, and the process handling all of them share."""

import http.client
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from loadtest.bench.cpu import Cores, pinned
from loadtest.heads import HEADS
from loadtest.peers.wire import GIF

ROOT: Final = Path(__file__).parent.parent.parent
"""The folder that holds the package `loadtest`: what `python -m` of a peer needs to find it."""
START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 15.0
POLL_SECONDS: Final = 0.02
PROBE_SECONDS: Final = 5.0
TOOL_SECONDS: Final = 600.0
LAUNCHED: Final[list["subprocess.Popen[bytes]"]] = []
"""Every process of this run, in the order of their starts."""
PROBE: Final = b"GET /p/probe.gif HTTP/1.1\r\nHost: px.example.net\r\n\r\n"
"""A hit for a key that no gate knows."""


class ServerFailed(Exception):
    """A server did not start, did not answer, or did not end; the message holds its last words, on one line."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


@dataclass(frozen=True, slots=True)
class Scenario:
    """How hits come: on kept connections or each on one of its own, and how many different heads there are.

    tls: over TLS; idle: connections that were answered once and stay open, beside the busy ones.
    """

    name: str
    title: str
    close: bool
    heads: int
    tls: bool = False
    idle: int = 0


KEEP_ALIVE: Final = Scenario("keep-alive", "keep-alive, 512 heads", close=False, heads=HEADS)
MANY_BROWSERS: Final = Scenario("many-browsers", "keep-alive, 65,536 heads", close=False, heads=HEADS * 128)
"""As many as no cache of what was seen before can hold: what a server gains from heads that come again shows here."""
NEW_CONNECTION: Final = Scenario("new-connection", "new connection a hit, 512 heads", close=True, heads=HEADS)
IDLE_CROWD: Final = Scenario(
    "idle-crowd", "keep-alive, 512 heads, 1,000 idle connections beside", close=False, heads=HEADS, idle=1000
)
TLS_KEEP_ALIVE: Final = Scenario("tls-keep-alive", "TLS, keep-alive, 512 heads", close=False, heads=HEADS, tls=True)
TLS_NEW_CONNECTION: Final = Scenario(
    "tls-new-connection", "TLS, new connection a hit, 512 heads", close=True, heads=HEADS, tls=True
)
SCENARIOS: Final = (KEEP_ALIVE, MANY_BROWSERS, NEW_CONNECTION, IDLE_CROWD, TLS_KEEP_ALIVE, TLS_NEW_CONNECTION)


@dataclass(slots=True)
class Running:
    """A started server: the process whose tree is measured, its port, and how many hits it says it has kept.

    front: a proxy before it, measured too and told apart; beside: what it needs and what is not measured. tls: its port
    speaks TLS alone.
    """

    process: "subprocess.Popen[bytes]"
    port: int
    words: Path
    beside: Sequence["subprocess.Popen[bytes]"] = field(default_factory=tuple)
    kept: Callable[[], int] | None = None
    front: "subprocess.Popen[bytes] | None" = None
    tls: bool = False

    def stop(self) -> None:
        """End proxy, server and what stands beside it, in that order. Raises ServerFailed where one was killed."""
        front = () if self.front is None else (self.front,)
        stuck = [process.pid for process in (*front, self.process, *self.beside) if not end(process)]
        if stuck:
            raise ServerFailed(f"process {stuck[0]} did not end within {STOP_SECONDS:.0f} s: {last_words(self.words)}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where and for what a server is started: an empty folder of its own, the scenario, its core and the load's."""

    folder: Path
    scenario: Scenario
    cores: Cores


class Server(ABC):
    """One way to answer pixels. `keys` are the write keys its gate knows (a server without a gate ignores them)."""

    name: str
    job: str
    tls = False

    def __init__(self, keys: Sequence[str] = ()) -> None:
        self.keys = keys
        self._scenarios: Sequence[Scenario] | None = None

    def only(self, *scenarios: Scenario) -> Self:
        """Leave it out of all other scenarios, where it would tell nothing new."""
        self._scenarios = scenarios
        return self

    def plays(self, scenario: Scenario) -> bool:
        """Tell whether it is measured there: it speaks what the load speaks, and was not left out."""
        return scenario.tls == self.tls and (self._scenarios is None or scenario in self._scenarios)

    def missing(self) -> str | None:
        """Say what this machine lacks to run it, or None."""
        return None

    def prepare(self, folder: Path, cores: Cores) -> None:  # noqa: B027  # most need nothing
        """Do once a run what its starts need, in a folder that stays until the end. Raises ServerFailed."""

    @abstractmethod
    def version(self) -> str:
        """Name the versions that matter for its figures."""

    @abstractmethod
    def start(self, place: Place) -> Running:
        """Start it on the server core and return once it answers. Raises ServerFailed."""


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def launch(argv: Sequence[str], words: Path, core: int | frozenset[int] | None) -> "subprocess.Popen[bytes]":
    """Start a process in a session of its own, pinned to a core or some, its output going to the file `words`."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with words.open("ab") as output, pinned(core) if core is not None else nullcontext():
        process = subprocess.Popen(
            argv, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=environment, start_new_session=True
        )
    LAUNCHED.append(process)
    return process


def end_launched() -> None:
    """End what was launched and still runs, the newest first: a run may be interrupted where nobody holds it yet."""
    while LAUNCHED:
        if (process := LAUNCHED.pop()).poll() is None:
            end(process)


def end(process: "subprocess.Popen[bytes]") -> bool:
    """Ask a process to end, kill it and its session if it will not; tell whether it ended by itself."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
        return True
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return False


def last_words(words: Path) -> str:
    """Return the end of what a server printed, for a message."""
    text = words.read_text(errors="replace").strip() if words.exists() else ""
    return text[-400:] or "it printed nothing"


def await_answer(running: Running, head: bytes = PROBE) -> None:
    """Wait until the server answers a hit with the GIF. Raises ServerFailed, and stops it, when it does not."""
    deadline = time.monotonic() + START_SECONDS
    fault = "no answer"
    while time.monotonic() < deadline and running.process.poll() is None:
        try:
            ask(running.port, head, tls=running.tls)
            return
        except (OSError, ServerFailed) as error:
            fault = str(error)
            time.sleep(POLL_SECONDS)
    code = running.process.poll()
    running.stop()
    fault = f"it exited {code}" if code is not None else f"not ready after {START_SECONDS:.0f} s ({fault})"
    raise ServerFailed(f"{fault}: {last_words(running.words)}")


def ask(port: int, head: bytes, *, tls: bool = False) -> int:
    """Send one head and check the answer; return its length in bytes.

    Raises ServerFailed for anything but a 200 with the GIF, OSError where nobody listens.
    """
    with connect(port, tls=tls) as connection:
        return exchange(connection, head)


def connect(port: int, *, tls: bool = False) -> socket.socket:
    """Open a connection. Raises OSError."""
    connection = socket.create_connection(("127.0.0.1", port), PROBE_SECONDS)
    try:
        return client_tls().wrap_socket(connection) if tls else connection
    except OSError:
        connection.close()
        raise


def client_tls() -> ssl.SSLContext:
    """Trust anybody, as wrk does: the certificate is of this run's own making."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def exchange(connection: socket.socket, head: bytes) -> int:
    """Ask on an open connection; as `ask` else."""
    connection.sendall(head)
    answered = b""
    while not is_whole(answered):
        chunk = connection.recv(65536)
        if not chunk:
            break
        answered += chunk
    body = answered.partition(b"\r\n\r\n")[2]  # which 43 bytes differs: nginx's own GIF is another than ours
    if not (answered.startswith(b"HTTP/1.1 200 ") and body.startswith(b"GIF89a") and len(body) == len(GIF)):
        raise ServerFailed(f"expected 200 and the GIF, got {answered[:80]!r}")
    return len(answered)


def is_ready(port: int, *, tls: bool = False) -> bool:
    """Tell whether `/health/ready` answers 200."""
    if tls:
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            "127.0.0.1", port, timeout=PROBE_SECONDS, context=client_tls()
        )
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def is_whole(answered: bytes) -> bool:
    """Tell whether an answer has arrived with all of its `Content-Length` bytes."""
    head, found, body = answered.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return bool(found) and length is not None and len(body) >= int(length.group(1))


def run(argv: Sequence[str | Path], core: int | None = None) -> str:
    """Run a tool to its end and return what it printed. Raises ServerFailed with its last words."""
    with pinned(core) if core is not None else nullcontext():
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=TOOL_SECONDS)
    if done.returncode != 0:
        raise ServerFailed(
            f"{' '.join(map(str, argv))} exited {done.returncode}: {(done.stderr or done.stdout)[-300:]}"
        )
    return done.stdout or done.stderr


def tool(name: str) -> str | None:
    """Say that a program is missing, or None."""
    return None if shutil.which(name) else f"{name} is not installed"
