"""A consumer that takes what lies there and purges, killed before its n-th step: `purge_kills DATA N`; -1: never.

A step is what changes something durable: a commit of the warehouse, each part of replacing its file, a note in the
ledger, a removal of letters. Only where it dies is chosen here; what it does is its own.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

import consumers.warehouse.duckdb as form
import gating.ledger.purges as ledger_purges
from collector.publisher import dead_letters
from consumers.config import ConsumerSettings
from consumers.purge import Purger
from consumers.purge_places import Files
from consumers.service import Service
from gating.datadir import DataDirectory
from gating.ledger import Ledger, ledger_url
from gating.ledger.transaction import Transaction
from tests.consumers.house import now_us

left = int(sys.argv[2])
armed = False


def dying(function):
    """Die before the call, or after it, whichever is the one to die at."""

    def call(*arguments, **named):
        die()
        result = function(*arguments, **named)
        die()
        return result

    return call


def die():
    global left
    if armed and left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    if armed and left > 0:
        left -= 1


async def main() -> None:
    global armed
    data = DataDirectory.open(Path(sys.argv[1]))
    service = Service(data, ConsumerSettings(data=data.root))
    while await service.loop.step(0):
        pass
    armed = True
    form.written_anew, form.swapped_in = dying(form.written_anew), dying(form.swapped_in)
    ledger_purges.Purges.note = dying(ledger_purges.Purges.note)
    dead_letters.purge = dying(dead_letters.purge)
    Transaction.give_receipt = dying(Transaction.give_receipt)
    purger = Purger(
        lambda: Ledger.open_existing(ledger_url(data, None)), service.warehouse, Files(data), service.loop.on_worker,
        now_us, fence_ns=0,
    )  # fmt: skip
    for _ in range(10):
        if not await purger.step():
            break
    else:
        raise SystemExit(f"not purged: {purger.trouble}")
    purger.close()
    await service.close()


asyncio.run(main())
