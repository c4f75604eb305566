"""`python -m collector`: one worker, until SIGTERM or SIGINT. Its settings are PIXELGATE_* (`pixelgate settings`)."""

import logging
import sys

import uvloop

from collector.config import CollectorSettings
from collector.tls import Loop
from collector.worker import run
from gating.errors import PixelgateError


def main() -> int:
    """Exit code: 0 stopped by a signal, else that of the error, with one line on stderr."""
    logging.basicConfig(format="%(asctime)s collector %(levelname)s %(message)s")
    logging.getLogger("pixelgate").setLevel(logging.INFO)
    try:
        uvloop.run(run(CollectorSettings()), loop_factory=Loop)
    except PixelgateError as error:
        print(f"pixelgate: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
