"""`python -m tests.speed.record`: count instructions a hit as things stand, tell what changed, and record them."""

import sys
import tempfile
from pathlib import Path

from tests.speed.baseline import FILE, load, save
from tests.speed.counting import NotCounted, count, missing


def main() -> int:
    """Exit code: 0 recorded, 1 where instructions cannot be counted."""
    try:
        if lack := missing():
            raise NotCounted(lack)
        with tempfile.TemporaryDirectory() as folder:
            found = count(Path(folder))
    except NotCounted as error:
        print(f"not recorded: {error}", file=sys.stderr)
        return 1
    before = load().instructions if FILE.exists() else {}
    for name, instructions in found.instructions.items():
        change = f" ({instructions / before[name] - 1:+.1%})" if name in before else ""
        print(f"{name:<15} {instructions:>9,.0f} instructions a hit{change}")
    save(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
