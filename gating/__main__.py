"""`python -m gating`: the gating process of a data directory (PIXELGATE_DATA), until SIGTERM or SIGINT."""

import logging
import sys

import uvloop

from gating.config import GatingSettings
from gating.errors import PixelgateError
from gating.process import run


def main() -> int:
    """Exit code: 0 stopped by a signal, else that of the error, with one line on stderr."""
    logging.basicConfig(format="%(asctime)s gating %(levelname)s %(message)s")
    logging.getLogger("pixelgate").setLevel(logging.INFO)
    try:
        uvloop.run(run(GatingSettings()))
    except PixelgateError as error:
        print(f"pixelgate: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
