"""`python -m gating.ledger migrate|new-epoch|forget-place`: what the owner of a ledger in PostgreSQL does; the first
two with no service running.

migrate     makes the tables or brings them up to this release; its service may lack the right to
new-epoch   after a failover or restore that may have lost commits: versions may now come to mean other changes
forget-place  a host is gone for good, its disk too: receipts of deleted accounts wait for it no longer
"""

import argparse
import sys

from gating.config import LedgerSettings
from gating.errors import NotFound, PixelgateError
from gating.ledger import Ledger


def main() -> int:
    """Exit code: 0 done, 2 usage, else that of the error, with one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m gating.ledger", description=__doc__.partition("\n")[0])
    parser.add_argument("action", choices=["migrate", "new-epoch", "forget-place"])
    parser.add_argument("place", nargs="?", help="as `pixelgate account receipt` names it")
    given = parser.parse_args()
    action = given.action
    if (action == "forget-place") != bool(given.place):
        parser.error("forget-place, and it alone, takes a place")
    url = LedgerSettings().database_url
    if not url:
        print("pixelgate: DATABASE_URL is not set; a ledger file is migrated by the gating service", file=sys.stderr)
        return 2
    try:
        with Ledger.open(url) as ledger:
            if action == "new-epoch":
                with ledger.begin() as transaction:
                    transaction.new_epoch()
            if action == "forget-place" and not ledger.purges.forget_place(given.place):
                raise NotFound(f"there is no place {given.place[:100]!r}")
            head = ledger.head()
    except PixelgateError as error:
        print(f"pixelgate: {error}", file=sys.stderr)
        return error.exit_code
    print(f"the ledger stands at version {head.version} of epoch {head.epoch}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
