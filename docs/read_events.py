"""Reads pixel.events with plain aiokafka, each id once: python read_events.py BOOTSTRAP [COUNT]."""

import asyncio
import json
import sys
from collections import OrderedDict

from aiokafka import AIOKafkaConsumer

IDS_REMEMBERED_MAX = 1_000_000  # an id comes twice within minutes, rarely within days: remember as far as that matters


async def read(bootstrap: str, count: float) -> None:
    seen: OrderedDict[str, None] = OrderedDict()
    consumer = AIOKafkaConsumer("pixel.events", bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    async with consumer:
        async for record in consumer:
            event = json.loads(record.value)
            if event["id"] in seen:
                continue
            print(json.dumps(event), flush=True)
            seen[event["id"]] = None
            if len(seen) > IDS_REMEMBERED_MAX:
                seen.popitem(last=False)
            if (count := count - 1) <= 0:
                return


asyncio.run(read(sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else float("inf")))
