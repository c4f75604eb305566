"""Purges that die before each step in turn: `purge_deaths.py FORM FOLDER SEED STRIDE`.

FORM is duckdb or clickhouse; STRIDE 1 for every step, n for every n-th, from one that SEED draws. A step is whatever
changes something that lasts: a statement to the warehouse, a part of writing its file anew, a note or a transaction in
the ledger, a removal of letters or copies; before it and, where it is no statement, after it too. Each death is a
SIGKILL of a process of its own, forked before any engine was started; its successor dies too, at a step drawn by SEED,
and a third one lives to the receipt and tells what is there. Prints a line of JSON a death, and one for the purge
without any.
"""

import asyncio
import json
import os
import random
import shutil
import signal
import sys
from pathlib import Path

import consumers.warehouse.duckdb as duckdb_form
import gating.ledger.purges as ledger_purges
from collector.publisher import dead_letters
from collector.publisher.dead_letters import DeadLetters, Letter
from consumers import dead_letters as poison
from consumers.config import ConsumerSettings
from consumers.kafka_records import Poison
from consumers.moments import ALWAYS
from consumers.purge import Purger
from consumers.purge_places import Files
from consumers.service import Service
from consumers.warehouse.clickhouse_client import ClickHouseClient
from consumers.warehouse.duckdb import DuckDBWarehouse
from consumers.warehouse.protocol import Audience
from deploy.verify import verify_all
from gating.datadir import DataDirectory
from gating.ledger import Ledger, Who, ledger_url
from gating.ledger.transaction import Transaction
from gating.receipts import receipt_view
from gating.status import DAY_US, Role, Verdict
from tests.consumers.children.clickhouse_kills import forked
from tests.consumers.events import event
from tests.consumers.house import House, now_us
from tests.consumers.parts import hurry
from tests.consumers.test_purge import OTHER_KEY, delete, files_with, taken

MARK, OTHER, WORD = "QzXpWvKmRtYbNcLsJdHfGaEoUiTyBnMkLpQwErTz", "kept" * 10, "VbNmLkJhGfDsApOiUyTrEwQzXcVbNmAsDfGhJkLq"
PASSES = 400


def settings_of(folder: Path, form: str) -> ConsumerSettings:
    url = f"chdb://{folder / 'engine'}" if form == "clickhouse" else None
    return ConsumerSettings(data=folder / "data", clickhouse_url=url)


async def prepared(folder: Path, form: str) -> None:
    """One account that is to be purged, in every store, and one that is to stay."""
    url = settings_of(folder, form).clickhouse_url
    house = House(folder / "data", clickhouse_url=url)
    for account, key in (("shop", {}), ("else", {"key": OTHER_KEY})):
        house.create(account, at_us=now_us() - 30 * DAY_US, **key)
    with house.ledger.begin() as transaction:
        transaction.add_key("shop", at_us=now_us() - 20 * DAY_US, who=Who("ops-1", Role.OPERATOR), source=WORD)
    house.hit(*(f"v={MARK}&n={n}" for n in range(5)))
    house.hit(f"v={MARK}", verdict=Verdict.HIDE)
    house.hit(f"v={MARK}", verified=False, account="", at_us=now_us() + DAY_US)
    house.hit(*(f"v={OTHER}" for _ in range(3)), account="else", key=OTHER_KEY)
    service = house.service()
    if url:
        hurry(service.warehouse, "events", "unverified")
    letters, records = DeadLetters(house.data.dead_letters), poison.DeadLetters(house.data.dead_letters)
    for sequence, account, visitor in ((1, "shop", MARK), (2, "else", OTHER)):
        lost = event(sequence, "cd" * 16, account=account, visitor=visitor)
        letters.append([Letter("cd" * 16, sequence, "pixel.events", "too large", now_us(), lost.encode())])
        records.append([Poison("pixel.events", 0, sequence, 0, "?", f"{account}:v".encode(), visitor.encode(), ())])
    letters.close()
    records.close()
    (house.data.quarantine / "segment").write_bytes(MARK.encode())
    await taken(service)
    delete(house)
    house.journal.close()
    await taken(service)
    await service.close()
    house.close()


async def purged(folder: Path, form: str) -> None:
    settings = settings_of(folder, form)
    data = DataDirectory.open(settings.data)
    service = Service(data, settings)
    purger = Purger(
        lambda: Ledger.open_existing(ledger_url(data, None)), service.warehouse, Files(data), service.loop.on_worker,
        now_us, fence_ns=0,
    )  # fmt: skip
    for _ in range(PASSES):
        if not await purger.step():
            break
        await asyncio.sleep(0.05)  # a poll: replaced parts go by themselves
    else:
        raise SystemExit(f"not purged: {purger.trouble or receipt_view(purger._opened(), 'shop')}")
    purger.close()
    await service.close()


async def told(folder: Path, form: str) -> None:
    settings = settings_of(folder, form)
    data = DataDirectory.open(settings.data)
    service = Service(data, settings)
    left = await service.report("else", Audience.OPERATOR, ALWAYS)
    await service.close()
    with Ledger.open_reading(ledger_url(data, None)) as ledger:
        receipt = receipt_view(ledger, "shop")
        owed, faults = ledger.purges.owed(10), ledger.verify_history()
    sums = await asyncio.to_thread(verify_all, data, settings)
    found = {row["store"].partition(" ")[0]: row["found"] for row in receipt["stores"]}
    told = {
        "warehouse": found["warehouse"],
        "letters": found["letters"],
        "ledger": found["ledger"],
        "left": [row["left"] for row in receipt["stores"]],
        "owed": len(owed) + len(faults),
        "else": left["events"],
        "else_letters": [letter.decoded().account for _, letter in dead_letters.find(data.dead_letters).unsent],
        "else_poison": [one.key.decode() for one in poison.find(data.dead_letters)],
        "sums": [sums["ok"], sums["purged"], sums["warehouse"], sums["faults"]],
        "bytes": [*files_with(folder, MARK), *files_with(folder, WORD)],
        "other_bytes": bool(files_with(folder, OTHER)),
    }
    print(json.dumps({"at": folder.name} | told), flush=True)


def dying(number: int) -> None:
    """Have the process die before its `number`-th step."""
    passed = 0

    def step() -> None:
        nonlocal passed
        passed += 1
        if passed == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def armed(owner: object, name: str, *, after: bool = True) -> None:
        original = getattr(owner, name)

        def call(*arguments, **named):
            step()
            result = original(*arguments, **named)
            if after:
                step()
            return result

        setattr(owner, name, call)

    for name in ("run", "insert", "define"):
        armed(ClickHouseClient, name, after=False)
    armed(DuckDBWarehouse, "_run", after=False)
    for owner, name in (
        (duckdb_form, "written_anew"),
        (duckdb_form, "swapped_in"),
        (ledger_purges.Purges, "note"),
        (dead_letters, "purge"),
        (poison, "purge"),
        (Files, "purge_quarantine"),
        (Transaction, "erase_details"),
        (Transaction, "give_receipt"),
        (Ledger, "change"),
    ):
        armed(owner, name)


def ended(work, folder: Path, form: str, die_at: int = 0) -> int:
    def run() -> None:
        if die_at:
            dying(die_at)
        asyncio.run(work(folder, form))

    return forked(run)


def main(form: str, root: Path, chance: random.Random, stride: int) -> None:
    if ended(prepared, root / "empty", form):
        sys.exit("nothing to purge could be made")
    shutil.copytree(root / "empty", root / "whole", symlinks=True)
    if ended(purged, root / "whole", form) or ended(told, root / "whole", form):
        sys.exit("the purge without a death failed")
    number = chance.randrange(1, stride + 1)
    while True:
        folder = root / f"death-{number}"
        shutil.copytree(root / "empty", folder, symlinks=True)
        died = ended(purged, folder, form, number)
        if died == 0:
            print(json.dumps({"steps": number - 1}), flush=True)
            return
        ended(purged, folder, form, chance.randrange(1, 40))
        if ended(purged, folder, form) or ended(told, folder, form):
            sys.exit(f"not purged after death {number}")
        shutil.rmtree(folder)
        number += stride


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), random.Random(int(sys.argv[3])), int(sys.argv[4]))
