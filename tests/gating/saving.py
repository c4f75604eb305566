"""`python -m tests.gating.saving PATH` saves a map until it is killed, saying each version that it has saved."""

import itertools
import sys
from pathlib import Path

from gating.feed import KeyState, StatusChange
from gating.saved_map import SavedMap
from gating.status import Status, Verdict


def main():
    saved = SavedMap(Path(sys.argv[1]))
    saved.begin("epoch")
    saved.stand(0)
    for number in itertools.count(1):
        account, verdict = f"a{number % 50}", Verdict(1 + number % 3)
        keys = (KeyState(f"key-{account}"),)
        change = StatusChange(number, account, 0, Status.ACTIVE, verdict, None, None, False, keys)
        saved.change(change.encode(), number)
        print(number)


if __name__ == "__main__":
    main()
