"""Write a ledger of many accounts, a write key each: `python -m tests.many_accounts DATA COUNT`.

For measuring alone: one by one over the service's socket a million would take an hour. They are made by the ledger's
own transactions, so the file is what a service would have left; but in batches, and with ids in a row, since random
ones would touch every page of every index in each batch. The keys lie in `DATA/keys`, one a line.
"""

import argparse
import sys
import time
from pathlib import Path

from gating.datadir import DataDirectory
from gating.ledger import Ledger, Who
from gating.ledger.sqlite import sqlite_url
from gating.ledger.transaction import CHANGES_MAX
from gating.lifecycle import open_account, standing
from gating.policy import load_rulebook
from gating.status import Role

MAKER = Who("many_accounts", Role.OPERATOR)


def make(data: Path, count: int) -> list[str]:
    """Create the accounts; returns their write keys."""
    policy = load_rulebook("default")
    directory = DataDirectory.open(data)
    keys: list[str] = []
    with directory.hold("gating"), Ledger.open(sqlite_url(directory.ledger)) as ledger:
        while len(keys) < count:
            with ledger.begin() as transaction:
                transaction.keep_rulebook(policy.digest, policy.name, policy.text)
                now_us = time.time_ns() // 1000
                ids = [f"acct-{n:020d}" for n in range(len(keys), min(len(keys) + CHANGES_MAX, count))]
                transaction.load(ids)
                for account in ids:
                    decision = open_account(policy, account, None, now_us)
                    made = transaction.create_account(decision, standing(policy, decision.account), MAKER)
                    keys.append(made.keys[0].write_key)
    return keys


def main() -> int:
    parser = argparse.ArgumentParser(description="Write a ledger of many accounts, for measuring.")
    parser.add_argument("data", type=Path)
    parser.add_argument("count", type=int)
    given = parser.parse_args()
    began = time.monotonic()
    keys = make(given.data, given.count)
    (given.data / "keys").write_text("\n".join(keys))
    print(f"{len(keys)} accounts in {time.monotonic() - began:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
