"""The real console script, as a user calls it."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.processes import environment

SECONDS_MAX = 60


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout; fails where there is anything beside it."""
        return json.loads(self.out)

    @property
    def error_line(self) -> str:
        """The one line on stderr; fails where there are none or more, or anything on stdout."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert self.out == ""
        return lines[0]


class Console:
    """Runs `pixelgate` on one data directory."""

    script = Path(sys.executable).with_name("pixelgate")

    def __init__(self, data: Path) -> None:
        self.data = data

    def environment(self, **more: str) -> dict[str, str]:
        return {**environment(self.data), **more}

    def __call__(self, *arguments: object, **more: str) -> Ran:
        done = subprocess.run(
            [self.script, *map(str, arguments)],
            env=self.environment(**more),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            cwd=self.data.parent,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: object, **more: str) -> subprocess.Popen[str]:
        """Start a command that goes on; its stdout is piped."""
        return subprocess.Popen(
            [self.script, *map(str, arguments)],
            env=self.environment(**more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.data.parent,
        )
