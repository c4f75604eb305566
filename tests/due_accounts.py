"""Write accounts whose trial ended a day ago into a ledger: `python -m tests.due_accounts DATA COUNT`.

For measuring the sweeper alone; DATABASE_URL names the ledger where it is no file. As `many_accounts` makes them: by
the ledger's own transactions, in batches. None of these deadlines is durable: whoever sweeps has COUNT changes to make.
"""

import argparse
import os
import sys
import time
from pathlib import Path

from gating.datadir import DataDirectory
from gating.ledger import Ledger, ledger_url
from gating.ledger.transaction import CHANGES_MAX
from gating.lifecycle import open_account, standing
from gating.policy import load_rulebook
from gating.status import DAY_US
from tests.many_accounts import MAKER

RULEBOOK = "segmetrics"
TRIAL_US = 14 * DAY_US


def make(data: Path, count: int) -> None:
    """Create the accounts, a second's worth of them at each microsecond: deadlines fall together in the field too."""
    policy = load_rulebook(RULEBOOK)
    directory = DataDirectory.open(data)
    began_us = time.time_ns() // 1000 - TRIAL_US - DAY_US
    with directory.hold("gating"), Ledger.open(ledger_url(directory, os.environ.get("DATABASE_URL"))) as ledger:
        for start in range(0, count, CHANGES_MAX):
            ids = [f"trial-{number:08d}" for number in range(start, min(start + CHANGES_MAX, count))]
            with ledger.begin() as transaction:
                transaction.keep_rulebook(policy.digest, policy.name, policy.text)
                transaction.load(ids)
                for number, account in enumerate(ids, start):
                    decision = open_account(policy, account, None, began_us + number)
                    transaction.create_account(decision, standing(policy, decision.account), MAKER)


def main() -> int:
    parser = argparse.ArgumentParser(description="Write accounts whose deadline has come, for measuring.")
    parser.add_argument("data", type=Path)
    parser.add_argument("count", type=int)
    given = parser.parse_args()
    make(given.data, given.count)
    return 0


if __name__ == "__main__":
    sys.exit(main())
