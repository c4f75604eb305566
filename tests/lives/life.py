"""A life: stages read from TOML, played day by day beside all others, each told as a row of a table.

A stage carries commands out, has others refused, fires hits, and says where the account must stand then and what its
reports must show. All accounts share one system and its clock, which is moved to each day on which one has a stage.
"""

import contextlib
import http.client
import json
import re
import shlex
import signal
import socket
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from click.testing import Result
from typer.testing import CliRunner

from deploy.cli import app
from gating.datadir import DataDirectory
from tests.eventually import eventually
from tests.faults.roles import must_be_pixel
from tests.lives.wall_clock import WallClock
from tests.processes import Process, accepts, answers, free_port

RUNNER = CliRunner()
DAY = re.compile(r"\{day ([\d.]+)\}")
SETTLED_SECONDS = "60"
FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Stage:
    """One day of a life. `do`, `refused`: what follows `account do ACCOUNT`. hits: fired once all of that is done.

    visible, hidden: what an operator's report counts then; None in `access` = NONE is refused to the account itself.
    """

    day: float
    promise: str
    says: str
    status: str
    verdict: str
    access: str
    visible: int
    hidden: int = 0
    hits: int = 1
    do: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


@dataclass(frozen=True)
class Life:
    """All stages of one account under one rulebook."""

    rulebook: str
    title: str
    create: str
    stages: tuple[Stage, ...]

    @property
    def account(self) -> str:
        """Whose life it is."""
        return f"acme-{self.rulebook}"

    @classmethod
    def read(cls, path: Path) -> "Life":
        """Raises TypeError for a stage that says what none can."""
        fields = tomllib.loads(path.read_text())
        stages = tuple(
            Stage(**{k: tuple(v) if isinstance(v, list) else v for k, v in one.items()}) for one in fields.pop("stage")
        )
        return cls(rulebook=path.stem, stages=stages, title=fields["title"], create=fields.get("create", ""))


@dataclass
class Told:
    """What a stage came to, in the words of the command line."""

    life: Life
    stage: Stage
    done: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    standing: dict[str, Any] = field(default_factory=dict)
    events: dict[str, int] = field(default_factory=dict)
    own: dict[str, int] | None = None


class Stand:
    """One data directory with its three roles, under a wall clock that the test moves."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.directory = DataDirectory.open(folder / "data")
        self.clock = WallClock(folder)
        self.port = free_port()
        self._worker: Process | None = None
        self._of_time: dict[str, Process] = {}
        self.began = datetime.now(UTC)
        self._command = ""

    def __enter__(self) -> "Stand":
        try:
            self.at(0)
            worker = self._worker = self._start("collector", self.clock.environment(), host="127.0.0.1", port=self.port)
            eventually(lambda: worker.must_live() and accepts(self.port), 30)
            eventually(self._leased, 30)
            self.json("account", "create", "--id", "metronome", "--rulebook", "default")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop what runs."""
        for process in (*self._of_time.values(), self._worker):
            if process is not None:
                process.kill()

    def at(self, day: float) -> None:
        """Move the clock, and start the gating service and the consumer anew: no jump moves the time they go by.

        The collector stays: it has its time from the gating service.
        """
        for process in self._of_time.values():
            process.signal(signal.SIGTERM)
        for process in self._of_time.values():
            assert process.popen.wait(30) == 0, process.log
        self.clock.move(day)
        clock = self.clock.fixed_environment()
        self._of_time = {
            "gating": self._start("gating", clock, admin_port=0),
            "consumer": self._start("consumers", clock),
        }
        for name, process in self._of_time.items():
            door = self.directory.root / f"{name}.sock"
            eventually(lambda process=process, door=door: process.must_live() and answers(door), 30)
        if self._worker is not None:
            # Nothing but the stage says that so many days have passed: to the service its clock has leapt.
            self.json("clock", "confirm")
            eventually(self._reached, 30)

    def _reached(self) -> bool:
        """Whether the worker follows the new service, and so has its time: an account of its own is flipped for that.

        Its old lease, and the old time with it, would hold for up to three seconds.
        """
        self._command = "resume" if self._command == "pause" else "pause"
        return bool(self.json("account", "do", "metronome", self._command)["workers"])

    def _leased(self) -> bool:
        """Whether the worker verifies hits, by the new service's word."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        with contextlib.closing(client):
            client.request("GET", "/health/ready")
            return bool(json.loads(client.getresponse().read())["ready"])

    def cli(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> Result:
        """A command that ends with one of these exit codes. In this process, since starting an interpreter for each of
        a year's commands would take most of the time; what the time is, the roles know."""
        done = RUNNER.invoke(app, ["--data", str(self.directory.root), *arguments])
        assert done.exit_code in codes, (arguments, done.exit_code, done.stdout, done.stderr, done.exception)
        return done

    def json(self, *arguments: str) -> Any:
        return json.loads(self.cli(*arguments, "--json").stdout)

    def fire(self, key: str, hits: int) -> None:
        """So many answered hits."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as client:
            for number in range(hits):
                client.sendall(f"GET /p/{key}.gif?e=visit&v=v{number} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                must_be_pixel(client)

    def _start(self, module: str, clock: dict[str, str], **settings: object) -> Process:
        log = self._folder / f"{module}.log"
        return Process(["-m", module], self.directory.root, log, variables=clock, **settings)


def play(lives: Sequence[Life], folder: Path) -> Iterator[Told]:
    """Play all lives' stages in the order of their days; each is told once it is over."""
    with Stand(folder) as stand:
        keys = {}
        for life in lives:
            words = ("account", "create", "--id", life.account, "--rulebook", life.rulebook, *shlex.split(life.create))
            keys[life.account] = stand.json(*words)["write_key"]
        for day in sorted({stage.day for life in lives for stage in life.stages}):
            stand.at(day)
            for life in lives:
                for stage in (one for one in life.stages if one.day == day):
                    yield _played(stand, life, stage, keys[life.account])


def _dated(words: str, began: datetime) -> list[str]:
    """The command's words; `{day N}` is the time N days after the life began."""
    return shlex.split(DAY.sub(lambda day: (began + timedelta(days=float(day[1]))).isoformat(), words))


def _played(stand: Stand, life: Life, stage: Stage, key: str) -> Told:
    told = Told(life, stage)
    for words in stage.refused:
        refused = stand.cli("account", "do", life.account, *_dated(words, stand.began), codes=(1,))
        told.refusals.append(refused.stderr.strip())
    for words in stage.do:
        done = stand.json("account", "do", life.account, *_dated(words, stand.began))
        assert done["enforced"], done
        told.done.append(words)
    stand.fire(key, stage.hits)
    told.standing = stand.json("account", "show", life.account)
    report = ("report", life.account, "--settled", SETTLED_SECONDS)
    told.events = stand.json(*report, "--as", "operator")["events"]
    if stage.status == "DELETED":  # the purge goes on by itself
        eventually(lambda: not any(stand.json(*report, "--as", "operator")["events"].values()), 90)
        told.events = stand.json(*report, "--as", "operator")["events"]
    own = stand.cli(*report, "--as", "account", "--json", codes=(0, 1))
    told.own = json.loads(own.stdout)["events"] if own.exit_code == 0 else None
    return told
