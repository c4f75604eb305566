"""A relay of its own process that kills itself: argv ledger file, Redis' URL, then `before` or `after` and the number
of the step of `relay.lua` that is meant."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from gating.ledger import Ledger, sqlite_url
from gating.redis_client import open_redis
from gating.relay import Relay
from gating.relay_script import RelayScript
from tests.feeds import Granter, in_turn

path, url, when, last = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
steps = 0
run = RelayScript._run


async def counted(script, commands):
    global steps
    steps += 1
    if steps == last and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    replies = await run(script, commands)
    if steps == last and when == "after":
        os.kill(os.getpid(), signal.SIGKILL)
    return replies


async def main():
    with Ledger.open(sqlite_url(path)) as ledger:
        await Relay(ledger, open_redis(url), Granter(url, ledger), in_turn=in_turn).run()


RelayScript._run = counted
asyncio.run(main())
