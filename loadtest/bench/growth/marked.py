"""wrk read between two moments: how many hits were sent by when, so that connecting and warming up are not measured."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loadtest.bench.wrk import Load, WrkFailed

SCRIPT: Final = Path(__file__).with_name("marked.lua")
MARK: Final = "MARKS "


@dataclass(frozen=True, slots=True)
class Marked(Load):
    """A load that also says when it had sent how many."""

    def command(self, port: int, heads: Path) -> list[str]:
        """As `Load` has it, with the script that writes marks."""
        argv = Load.command(self, port, heads)
        argv[argv.index("-s") + 1] = str(SCRIPT)
        return argv


@dataclass(frozen=True, slots=True)
class Marks:
    """Moments of the monotonic clock in microseconds, each with the number of heads sent by then; both ascend."""

    moments: Sequence[tuple[int, int]]

    def between(self, began: float, ended: float) -> int:
        """Hits sent between two moments, in seconds of the monotonic clock. Raises WrkFailed outside of the marks."""
        return round(self._at(ended * 1e6) - self._at(began * 1e6))

    def _at(self, us: float) -> float:
        for (left, before), (right, after) in zip(self.moments, self.moments[1:], strict=False):
            if left <= us <= right:
                return before + (after - before) * (us - left) / (right - left)
        raise WrkFailed(f"no marks around {us:.0f} us: wrk sent nothing then ({len(self.moments)} marks)")


def parse_marks(output: str) -> Marks:
    """Find the marks in wrk's output. Raises WrkFailed where there are none."""
    for line in output.splitlines():
        if line.startswith(MARK):
            try:
                return Marks([(us, sent) for us, sent in json.loads(line.removeprefix(MARK))])
            except (ValueError, TypeError) as error:
                raise WrkFailed(f"wrk's marks do not read: {line[:100]!r}") from error
    raise WrkFailed(f"wrk wrote no marks: {output.strip()[-300:]!r}")
