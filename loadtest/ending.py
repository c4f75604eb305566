"""How a run of this package ends before its time: SIGTERM as Ctrl-C does, with every server it started stopped."""

import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Final, NoReturn

from loadtest.peers.server import end_launched

INTERRUPTED: Final = 128 + signal.SIGINT


def run(main: Callable[[], int], name: str) -> NoReturn:
    """Run a program's `main` and exit with its code; 130 and one line where it was ended before its time."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print(f"{name}: ended before its time", file=sys.stderr)
        sys.exit(INTERRUPTED)
    finally:
        end_launched()


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    """Raise KeyboardInterrupt, once: `timeout make ...` has the signal come twice, and the second would cut short the
    stopping that the first began."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt
