"""What instructions a hit were when they were last recorded, and how far they may go.

In the interpreter that they were recorded in, counts are compared. In another, ratios to the yardstick: what one
interpreter does quicker than another, it does not do alike to every piece of code, so the margin is wider.
"""

import json
from pathlib import Path

from tests.speed.counting import Counted

FILE = Path(__file__).with_name("baseline.json")
SAME_MARGIN = 0.03  # two counts of one tree differ by 0.0005
OTHER_MARGIN = 0.15


def load() -> Counted:
    recorded = json.loads(FILE.read_text())
    return Counted(recorded["interpreter"], recorded["instructions"])


def save(counted: Counted) -> None:
    rounded = {name: round(count) for name, count in counted.instructions.items()}
    FILE.write_text(json.dumps({"interpreter": counted.interpreter, "instructions": rounded}, indent=2) + "\n")


def faults(found: Counted, recorded: Counted) -> list[str]:
    """What costs more than its margin allows, each in one line; and what became cheaper unrecorded."""
    is_same = found.interpreter == recorded.interpreter
    margin = SAME_MARGIN if is_same else OTHER_MARGIN
    now, then = (found.instructions, recorded.instructions) if is_same else (found.ratios, recorded.ratios)
    unit = "instructions" if is_same else "yardsticks"
    told = []
    for name in then.keys() - {"yardstick"}:
        change = now[name] / then[name] - 1
        if change > margin:
            told.append(f"{name}: {now[name]:,.2f} {unit} a hit, {then[name]:,.2f} recorded: {change:+.1%}")
        elif is_same and change < -margin:
            told.append(f"{name}: {change:+.1%} {unit} a hit; record it, or the next change may take it back unnoticed")
    return sorted(told)
