"""Pixelgate itself, driven as a user would: by its command line and its sockets."""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from loadtest.bench.cpu import Cores
from loadtest.peers.local_http import LocalHttp, LocalHttpFailed
from loadtest.peers.server import (
    POLL_SECONDS,
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
COPIED: Final = ("VERSION", "ledger.sqlite")
"""What a turn's data directory starts with; all else is made by the processes that run on it."""
KEYS_FILE: Final = "bench-keys"


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
    """A ledger of accounts with a write key each, copied for each turn; made once and kept for later runs too."""

    count: int
    shelf: Path
    keys: list[str] = field(default_factory=list)

    @property
    def _data(self) -> Path:
        return self.shelf / f"ledger-{self.count}"

    def make(self, cores: Cores) -> None:
        """Create the accounts through a running gating service, unless an earlier call or run has."""
        if not self._data.exists():
            self.shelf.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix="making-", dir=self.shelf) as name:
                data = Path(name) / "data"
                (Path(name) / KEYS_FILE).write_text("\n".join(self._create(data, Path(name) / "words", cores)))
                Path(name, KEYS_FILE).rename(data / KEYS_FILE)
                data.rename(self._data)
        self.keys = (self._data / KEYS_FILE).read_text().split()

    def _create(self, data: Path, words: Path, cores: Cores) -> list[str]:
        gating = start_gating(data, words, cores.load)
        new = {"rulebook": "default", "wait": False}
        try:
            with LocalHttp(data / "gating.sock") as http:
                return [http.post("/api/v1/accounts", new)["write_key"] for _ in range(self.count)]
        except (LocalHttpFailed, OSError, KeyError) as error:
            raise ServerFailed(f"accounts cannot be made: {error}") from error
        finally:
            gating.stop()

    def copy(self, data: Path) -> None:
        """Begin a data directory with this ledger."""
        data.mkdir()
        for name in COPIED:
            shutil.copy2(self._data / name, data / name)


class Pixelgate(Server):
    """One collector worker, journal on disk; the gating service, which grants its leases, on the load's core."""

    def __init__(self, accounts: Accounts, durability: str, name: str) -> None:
        super().__init__()
        self.name = name
        self._accounts = accounts
        self._durability = durability
        promise = {"process": "written, answered then", "disk": "written and synced, answered then"}[durability]
        self.job = (
            f"pixelgate collector, one worker, {accounts.count:,} keys in the gate, raw head into the journal, "
            f"durability {durability} ({promise}); its supervisor counts, the gating service beside it does not"
        )

    def missing(self) -> str | None:
        """It needs its own command."""
        return None if program() else "no `pixelgate` command beside this Python or on the path"

    def prepare(self, _folder: Path, cores: Cores) -> None:
        """Make its accounts, which takes milliseconds each."""
        self._accounts.make(cores)
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
        argv += ["--workers", "1", "--durability", self._durability]
        running = Running(launch(argv, words, place.cores.server), port, words, beside=(gating.process,))
        running.kept = lambda: count_journals(data)
        await_answer(running)
        await_ready(running)
        return running


def await_ready(running: Running) -> None:
    """Wait until the collector says that its map stands. Raises ServerFailed, and stops it, when it does not."""
    deadline = time.monotonic() + START_SECONDS
    while not is_ready(running.port):
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
