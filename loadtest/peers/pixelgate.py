"""Pixelgate itself, driven as a user would: by its command line and its sockets."""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from loadtest.bench.cpu import Cores
from loadtest.peers import certificate
from loadtest.peers.certificate import Certificate
from loadtest.peers.local_http import LocalHttp, LocalHttpFailed
from loadtest.peers.server import (
    POLL_SECONDS,
    ROOT,
    START_SECONDS,
    Place,
    Running,
    Server,
    ServerFailed,
    await_answer,
    free_port,
    is_ready,
    last_words,
    launch,
    run,
)

ACCOUNT: Final = "bench"
LEDGER: Final = "ledger.sqlite"
KEYS_FILE: Final = "keys"
"""What `tests.many_accounts` writes beside the ledger: a write key a line."""
COPY_BYTES_MAX: Final = 256 << 20
"""100,000 accounts take 160 MB, a million 1.6 GB."""
MAKING_SECONDS: Final = 3600.0
"""A million accounts took 530 s on a busy machine."""
TLS_OPTION: Final = "--tls-certificate"


def program() -> str | None:
    """Find the `pixelgate` command: beside this interpreter, else on the path."""
    beside = Path(sys.executable).with_name("pixelgate")
    return str(beside) if beside.exists() else shutil.which("pixelgate")


def pixelgate(data: Path, *arguments: str, core: int | None = None) -> Any:
    """Run one command on a data directory and return its JSON. Raises ServerFailed with its own line."""
    text = run([str(program()), "--data", str(data), *arguments, "--json"], core)
    try:
        return json.loads(text)
    except ValueError as error:
        raise ServerFailed(f"pixelgate {' '.join(arguments)} printed no JSON: {text[:200]!r}") from error


def start_gating(data: Path, words: Path, core: int) -> "Running":
    """Start the gating service and wait until it answers on its socket. Raises ServerFailed."""
    argv = [str(program()), "--data", str(data), "gating", "--admin-port", "0"]
    running = Running(launch(argv, words, core), 0, words)
    await_socket(running, data)
    return running


def await_socket(running: Running, data: Path) -> None:
    """Wait until the gating service answers on its socket. Raises ServerFailed, and stops it, when it does not."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and running.process.poll() is None:
        if _answers(data):
            return
        time.sleep(POLL_SECONDS)
    running.stop()
    raise ServerFailed(f"the gating service does not answer: {last_words(running.words)}")


def _answers(data: Path) -> bool:
    """Tell whether the gating service answers, by what costs it little: a list may be of a million accounts."""
    try:
        with LocalHttp(data / "gating.sock") as http:
            http.get("/api/v1/accounts/nobody")
    except LocalHttpFailed as error:
        return ": 404 " in str(error)
    except OSError:
        return False
    return True


@dataclass(slots=True)
class Accounts:
    """A ledger of accounts with a write key each, written in bulk once and kept for later runs too.

    One by one over the service's socket a million would take an hour; the ledger's own transactions leave the same
    file.
    """

    count: int
    shelf: Path
    keys: list[str] = field(default_factory=list)

    @property
    def place(self) -> Path:
        """The data directory that is kept."""
        return self.shelf.absolute() / f"bulk-{self.count}"

    def make(self) -> None:
        """Write the ledger, unless an earlier call or run has. Raises ServerFailed."""
        if not self.place.exists():
            self.shelf.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix="making-", dir=self.shelf) as name:
                made = Path(name) / "data"
                argv = [sys.executable, "-m", "tests.many_accounts", str(made.absolute()), str(self.count)]
                done = subprocess.run(
                    argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=MAKING_SECONDS
                )
                if done.returncode != 0:
                    raise ServerFailed(f"{self.count:,} accounts cannot be made: {done.stderr[-300:]}")
                print(done.stdout.strip(), flush=True)
                made.rename(self.place)
        self.keys = (self.place / KEYS_FILE).read_text().split()

    def copy(self, data: Path) -> None:
        """Begin a data directory with this ledger; a large one is opened where it lies, since a copy a turn would cost.

        By a symbolic link: SQLite follows it, so its rollback journal lies beside the real file and outlives the turn.
        """
        data.mkdir()
        shutil.copy2(self.place / "VERSION", data / "VERSION")
        ledger = self.place / LEDGER
        if ledger.stat().st_size > COPY_BYTES_MAX:
            (data / LEDGER).symlink_to(ledger)
        else:
            shutil.copy2(ledger, data / LEDGER)


class Pixelgate(Server):
    """Collector workers, journals on disk; the gating service, which grants their leases, on the load's core.

    workers: more than one share the server's core, or have a core each where the machine grants more than two. tls: the
    collector itself ends TLS.
    """

    def __init__(self, accounts: Accounts, durability: str, name: str, *, workers: int = 1, tls: bool = False) -> None:
        super().__init__()
        self.name, self.tls = name, tls
        self._accounts, self._durability, self._workers = accounts, durability, workers
        self._certificate: Certificate | None = None
        promise = {"process": "written, answered then", "disk": "written and synced, answered then"}[durability]
        self.job = (
            f"pixelgate collector, {'one worker' if workers == 1 else f'{workers} workers'}, "
            f"{accounts.count:,} keys in the gate, raw head into the journal, durability {durability} ({promise}); "
            "its supervisor counts, the gating service beside it does not"
        )

    def missing(self) -> str | None:
        """It needs its own command; for TLS one that can, and `openssl`."""
        lacks = self.lacks()
        if lacks is not None or not self.tls:
            return lacks
        if TLS_OPTION not in run([str(program()), "collector", "--help"]):
            return f"the installed pixelgate cannot: `pixelgate collector` has no {TLS_OPTION}"
        return certificate.missing()

    def lacks(self) -> str | None:
        """Say that there is no command, or None."""
        return None if program() else "no `pixelgate` command beside this Python or on the path"

    def prepare(self, folder: Path, cores: Cores) -> None:
        """Make its accounts and its certificate, and say which cores several workers have."""
        self.make_accounts()
        if self._workers > 1:
            own = sorted(cores.of_workers(self._workers))
            self.job += f"; workers on {'core' if len(own) == 1 else 'cores'} {', '.join(map(str, own))}"
        if self.tls:
            self._certificate = certificate.self_signed(folder)
            self.job += f"; the collector itself ends TLS ({certificate.KIND} certificate)"

    def make_accounts(self) -> None:
        """A fifth of a millisecond to half a one each, where no earlier run has made them."""
        self._accounts.make()
        self.keys: Sequence[str] = self._accounts.keys

    def version(self) -> str:
        """The installed distribution's version."""
        try:
            return f"pixelgate {version('pixelgate')}"
        except PackageNotFoundError:
            return "a pixelgate that is not installed here"

    def start(self, place: Place) -> Running:
        """Start gating, then the collector, and wait until it says it is ready."""
        data, words, port = place.folder / "data", place.folder / "words", free_port()
        self._accounts.copy(data)
        gating = start_gating(data, place.folder / "gating.words", place.cores.load)
        argv = [str(program()), "--data", str(data), "collector", "--host", "127.0.0.1", "--port", str(port)]
        argv += ["--workers", str(self._workers), "--durability", self._durability]
        if self._certificate is not None:
            argv += [TLS_OPTION, str(self._certificate.chain), "--tls-key", str(self._certificate.key)]
        process = launch(argv, words, place.cores.of_workers(self._workers))
        running = Running(process, port, words, beside=(gating.process,), tls=self._certificate is not None)
        running.kept = lambda: count_journals(data)
        await_answer(running)
        await_ready(running)
        return running


def await_ready(running: Running) -> None:
    """Wait until the collector says that its map stands. Raises ServerFailed, and stops it, when it does not."""
    deadline = time.monotonic() + START_SECONDS
    while not is_ready(running.port, tls=running.tls):
        if time.monotonic() > deadline or running.process.poll() is not None:
            running.stop()
            raise ServerFailed(f"the collector does not become ready: {last_words(running.words)}")
        time.sleep(POLL_SECONDS)


def count_journals(data: Path) -> int:
    """Count the records of all journals by `pixelgate journal check`. Raises ServerFailed where one is damaged."""
    records = 0
    for journal in sorted((data / "journals").iterdir()):
        checked = pixelgate(data, "journal", "check", str(journal))
        if checked["missing"]:
            raise ServerFailed(f"journal {journal.name} misses sequences {checked['missing']}")
        records += checked["records"]
    return records
