"""Bootstrap of a supervised role process: `python -m deploy.child LIFELINE -m MODULE`.

Called by supervisor.py alone. LIFELINE is the read end of a pipe whose write end only the supervisor holds: the kernel
closes it at any death of the supervisor, kill -9 included, and the role then stops as if told to. A pipe rather than
PR_SET_PDEATHSIG, because it works beyond Linux, does not depend on which thread spawned, and lets a stop be bounded.
Must stay light (standard library alone) and must not touch the role's event loop: the watching thread sleeps in read().
"""

import os
import runpy
import signal
import sys
import threading
import time
from typing import Final

ORPHAN_STOP_SECONDS: Final = 10.0  # then a stop that hangs is ended by force, so that ports get free


def stop_with_the_supervisor(lifeline: int) -> None:
    """Sleep until the pipe closes, then stop this process: politely first, after ORPHAN_STOP_SECONDS by force."""
    while os.read(lifeline, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(ORPHAN_STOP_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Arm the lifeline, then become the role's module."""
    lifeline, module = int(sys.argv[1]), sys.argv[3]
    os.set_inheritable(lifeline, False)
    threading.Thread(target=stop_with_the_supervisor, args=(lifeline,), name="lifeline", daemon=True).start()
    sys.argv = [module, *sys.argv[4:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
