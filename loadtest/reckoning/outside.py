"""What the system under load says of itself, asked as any operator would: `/metrics`, the command line, `/proc`.

Each source is optional: a collector in another house can be loaded without any of them, and the checks that need one
are then told as not made. Numbers are whole-system ones: hits of anybody else meanwhile are in them.
"""

import http.client
import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from loadtest.bench.cpu import TICKS_PER_SECOND, tree
from loadtest.peers.pixelgate import program

ASK_SECONDS: Final = 10.0
SETTLE_SECONDS: Final = 30
COMMAND_SECONDS: Final = 600.0
LOOK_SECONDS: Final = 0.25
COUNTER: Final = re.compile(r'^pixelgate_hits_total\{outcome="(\w+)",reason="(\w*)"\} (\S+)$', re.MULTILINE)
KEPT: Final = ("accepted", "hidden", "unverified")
"""What goes into the journal, as `outcomes` names it."""
ROLES: Final = {"collector": "collector", "gating": "gating", "consumers": "consumer", "publisher": "publisher"}


def grown(before: Mapping[str, Any], after: Mapping[str, Any]) -> "Outcomes":
    """Take what became of hits out of two documents of `verify`, under the names that `outcomes` has."""
    return {
        name.removeprefix("dropped_"): count - before["outcomes"].get(name, 0)
        for name, count in after["outcomes"].items()
    }


class NotTold(Exception):
    """The system could not be asked, or did not answer what was asked; the message says which."""


Outcomes = dict[str, int]
"""Name of the outcome (a reason where there is one: `unverified`, `unknown_key`) -> hits."""


@dataclass(frozen=True, slots=True)
class Outside:
    """The ways there are. admin: URL of the admin port; data: the data directory on this host."""

    admin: str | None
    data: Path | None

    def outcomes(self) -> Outcomes:
        """Ask `/metrics` what became of all hits so far. Raises NotTold."""
        found = COUNTER.findall(self._metrics())
        if not found:
            raise NotTold(f"{self.admin}/metrics has no pixelgate_hits_total")
        return {reason or outcome: int(float(value)) for outcome, reason, value in found}

    def _metrics(self) -> str:
        if self.admin is None:
            raise NotTold("no admin port is known (--admin)")
        url = urlsplit(self.admin)
        kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        connection = kind(url.hostname or "", url.port, timeout=ASK_SECONDS)
        try:
            connection.request("GET", "/metrics")
            response = connection.getresponse()
            text = response.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            raise NotTold(f"{self.admin}/metrics: {error}") from error
        finally:
            connection.close()
        if response.status != 200:
            raise NotTold(f"{self.admin}/metrics: {response.status}")
        return text

    def settled(self, before: Outcomes, hits: int) -> Outcomes:
        """Wait until `hits` more than before are counted (workers publish once a second), or some seconds have passed.

        Returns what was counted since. Raises NotTold.
        """
        until = time.monotonic() + ASK_SECONDS
        while True:
            since = {name: count - before.get(name, 0) for name, count in self.outcomes().items()}
            if sum(since.values()) >= hits or time.monotonic() > until:
                return since
            time.sleep(LOOK_SECONDS)

    def verify(self) -> dict[str, Any]:
        """Run `pixelgate verify`; its JSON, ok or not. Raises NotTold."""
        return self._command("verify", codes=(0, 1))

    def sums(self) -> dict[str, Any]:
        """Run `pixelgate verify --hits`: the same without the ledger, whose history may be long. Raises NotTold."""
        return self._command("verify", "--hits", codes=(0, 1))

    def caught_up(self, before: Mapping[str, Any], hits: int) -> dict[str, Any]:
        """Wait until `hits` more than before are counted and none is owed to the warehouse, or seconds have passed.

        Returns what `verify` says then. Raises NotTold.
        """
        until = time.monotonic() + SETTLE_SECONDS
        while (told := self.sums())["owed"] or told["hits"] - before["hits"] < hits:
            if time.monotonic() > until:
                break
            time.sleep(LOOK_SECONDS)
        return self.verify()

    def export(self, account: str) -> Iterator[dict[str, Any]]:
        """Export an account as its operator, settled; one event after the other. Raises NotTold."""
        with tempfile.TemporaryDirectory(prefix="loadtest-") as name:
            file = Path(name) / "events.ndjson"
            self._command("export", account, "--to", str(file), "--as", "operator", "--settled", str(SETTLE_SECONDS))
            with file.open(encoding="utf-8") as lines:
                yield from map(json.loads, lines)

    def _command(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> dict[str, Any]:
        if self.data is None:
            raise NotTold("no data directory is known (--data)")
        if (command := program()) is None:
            raise NotTold("no `pixelgate` command beside this Python or on the path")
        argv = [command, "--data", str(self.data), *arguments, "--json"]
        try:
            done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise NotTold(f"pixelgate {arguments[0]} did not end within {COMMAND_SECONDS:.0f} s") from error
        if done.returncode not in codes:
            raise NotTold(f"pixelgate {arguments[0]}: exit {done.returncode}: {done.stderr.strip()[-300:]}")
        try:
            return dict(json.loads(done.stdout))
        except ValueError as error:
            raise NotTold(f"pixelgate {arguments[0]} printed no JSON: {done.stdout[:200]!r}") from error

    def cpu(self) -> "Cpu":
        """Read what the processes of `pixelgate run` on this data directory have used. Raises NotTold."""
        if self.data is None:
            raise NotTold("no data directory is known (--data), so its processes are not found")
        try:
            pid = int((self.data / "locks" / "run").read_text())
        except (OSError, ValueError) as error:
            raise NotTold(f"no `pixelgate run` holds {self.data}") from error
        members = tree(pid)
        if not members:
            raise NotTold(f"no `pixelgate run` holds {self.data}")
        found: dict[str, float] = {}
        for member, usage in members.items():
            role = _role(member)
            found[role] = found.get(role, 0.0) + usage.ticks / TICKS_PER_SECOND
        return Cpu(found)


@dataclass(frozen=True, slots=True)
class Cpu:
    """CPU time by role so far, user and system, in seconds."""

    seconds: Mapping[str, float] = field(default_factory=dict)

    def since(self, before: "Cpu") -> dict[str, float]:
        """Tell what was used since, by role."""
        return {role: used - before.seconds.get(role, 0.0) for role, used in self.seconds.items()}


def _role(pid: int) -> str:
    """Tell which role a process plays by its command line; `run` for the rest: what starts and watches the others."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return "run"
    return next((ROLES[word] for word in map(os.fsdecode, words) if word in ROLES), "run")
