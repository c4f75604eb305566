"""A consumer without its socket, for tests that kill it: `take.py DATA [POINT NUMBER]` dies by SIGKILL at a point.

A point is a name of POINTS; NUMBER says the how-manieth time it is passed. Prints a line once it takes events.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from collector.journal.reader import JournalReader
from consumers.config import ConsumerSettings
from consumers.service import Service
from consumers.warehouse.duckdb import DuckDBWarehouse
from gating.datadir import DataDirectory

POINTS = {
    "before the append": (DuckDBWarehouse, "append", True),
    "before the transaction commits": (DuckDBWarehouse, "_run", True),
    "after the append": (DuckDBWarehouse, "append", False),
    "after the cursor moved": (JournalReader, "commit", False),
    "before the journal is removed": (JournalReader, "remove", True),
    "after the journal was removed": (JournalReader, "remove", False),
}


def arm(point: str, number: int) -> None:
    """Have the process die at the point."""
    owner, name, before = POINTS[point]
    original = getattr(owner, name)
    passed = 0

    def dying(self, *arguments, **named):
        nonlocal passed
        if name != "_run" or arguments[0] == "set_streams":
            passed += 1
        result = None if before and passed == number else original(self, *arguments, **named)
        if passed == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, dying)


async def take(data: DataDirectory) -> None:
    service = Service(data, ConsumerSettings(data=data.root))
    print("taking", flush=True)
    await service.loop.run()


if __name__ == "__main__":
    if len(sys.argv) > 2:
        arm(sys.argv[2], int(sys.argv[3]))
    directory = DataDirectory.open(Path(sys.argv[1]))
    with directory.hold("consumer"):
        asyncio.run(take(directory))
