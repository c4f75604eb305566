"""A process that writes to a ledger until it is killed, or as many changes as it is told: `writer.py URL NAME COUNT`.

Says each version on its standard output once it was committed.
"""

import sys

from gating.ledger import Ledger
from tests.gating.ledger.desk import Desk

COMMANDS = ("pause", "resume")


def main() -> None:
    url, name, count = sys.argv[1:]
    with Ledger.open(url) as ledger:
        desk = Desk(ledger)
        for n in range(int(count)):
            desk.later(1)
            change = desk.do(COMMANDS[(n + 1) % 2], name, details={"note": "x" * 2000}) if n else desk.open(name)
            sys.stdout.write(f"{change.version}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
