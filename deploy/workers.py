"""Workers from outside: does the process that published these counters still live, and what CPU has it used.

Called by live.py, doctor.py and verify.py. It asks the kernel alone, never the worker.
"""

import time
from collections.abc import Iterable
from pathlib import Path

from collector.metrics import Published


def is_alive(published: Published) -> bool:
    """Tell whether that worker still runs; a process of another kind may have its id by now."""
    if published.clean:
        return False
    try:
        return b"-m\0collector\0" in Path(f"/proc/{published.pid}/cmdline").read_bytes()
    except OSError:
        return False


def cpu_seconds(pids: Iterable[int]) -> dict[int, float]:
    """CPU time that each of these processes has used; left out where it is gone or the system has no such clock."""
    used = {}
    for pid in pids:
        try:
            used[pid] = time.clock_gettime((~pid << 3) | 2)  # Linux: the clock that clock_getcpuclockid(3) names
        except OSError:
            continue
    return used
