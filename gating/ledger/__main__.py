"""`python -m gating.ledger migrate|new-epoch`: what the owner of a ledger in PostgreSQL does, with no service running.

migrate     makes the tables or brings them up to this release; its service may lack the right to
new-epoch   after a failover or restore that may have lost commits: versions may now come to mean other changes
"""

import argparse
import sys

from gating.config import LedgerSettings
from gating.errors import PixelgateError
from gating.ledger import Ledger


def main() -> int:
    """Exit code: 0 done, 2 usage, else that of the error, with one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m gating.ledger", description=__doc__.partition("\n")[0])
    parser.add_argument("action", choices=["migrate", "new-epoch"])
    action = parser.parse_args().action
    url = LedgerSettings().database_url
    if not url:
        print("pixelgate: DATABASE_URL is not set; a ledger file is migrated by the gating service", file=sys.stderr)
        return 2
    try:
        with Ledger.open(url) as ledger:
            if action == "new-epoch":
                with ledger.begin() as transaction:
                    transaction.new_epoch()
            head = ledger.head()
    except PixelgateError as error:
        print(f"pixelgate: {error}", file=sys.stderr)
        return error.exit_code
    print(f"the ledger stands at version {head.version} of epoch {head.epoch}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
