"""`python -m gating`: the gating process of a data directory (PIXELGATE_DATA), until SIGTERM or SIGINT."""

import logging
import sys
from typing import Final

import uvloop

from gating.config import GatingSettings
from gating.errors import PixelgateError
from gating.process import run

SWITCH_SECONDS: Final = 0.0005
"""How long the thread that writes to the ledger keeps the interpreter from the loop, which answers the workers'
reports: with Python's own 5 ms a flip beside a sweep of deadlines is enforced many times as late."""


def main() -> int:
    """Exit code: 0 stopped by a signal, else that of the error, with one line on stderr."""
    logging.basicConfig(format="%(asctime)s gating %(levelname)s %(message)s")
    logging.getLogger("pixelgate").setLevel(logging.INFO)
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        uvloop.run(run(GatingSettings()))
    except PixelgateError as error:
        print(f"pixelgate: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
