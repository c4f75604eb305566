"""A life on ClickHouse in which the process dies before each statement in turn:
`clickhouse_kills.py FOLDER SEED STRIDE`, STRIDE 1 for every one of them, n for every n-th.

Each death is a SIGKILL of a process of its own, forked before any engine was started. Its successor opens what it left
and goes on as a source does: the same events, cut otherwise; it dies too, at a statement drawn by SEED, and a third one
lives to tell what is there. Prints a line of JSON a death, and one for the life without any.
"""

import json
import os
import random
import shutil
import signal
import sys
from pathlib import Path

from consumers.materialise import Materialiser
from consumers.moments import ALWAYS
from consumers.source import Batch, Missing, Part
from consumers.warehouse.clickhouse import ClickHouseWarehouse
from consumers.warehouse.clickhouse_client import ClickHouseClient
from consumers.warehouse.protocol import Audience, Ruling, View
from gating.status import Access
from tests.consumers.events import ACCEPT, DAY, DROP, HIDE, SECOND, T0, event

A, B, C = ("a1" * 16, "b2" * 16, "c3" * 16)
WRITES = ("run", "insert", "define")
OPERATOR = View("shop", Audience.OPERATOR, Access.FULL, 1)
RULINGS = [
    Ruling("key", 0, "shop", ACCEPT, 3),
    Ruling("key", T0 + 5, "shop", HIDE, 4),
    Ruling("key", T0 + 7, "shop", DROP, 5),
]


def unverified(sequence, journal, **fields):
    return event(sequence, journal, verified=False, account="", version=0, **fields)


STREAMS = {
    A: {
        1: event(1, A, client_id="x"),
        2: event(2, A, client_id="x"),  # a retry
        3: unverified(3, A, client_id="y"),
        4: unverified(4, A, client_id="y"),  # a retry, once both are settled
        5: unverified(5, A),
        6: event(6, A, verdict=HIDE, version=9),
        7: unverified(7, A),
        8: event(8, A, received_at=T0 + 40 * DAY),  # of another month
        12: event(12, A, client_id="x"),  # a retry, after a gap
    },
    B: {n: event(n, B, client_id=f"b{n}") for n in range(1, 7)},
    C: {1: event(1, C), 2: unverified(2, C, received_at=T0 + 1)},
}
ENDS = {A: 12, B: 6, C: 2}
GAP = Missing(A, 9, 11)
AGAIN = [STREAMS[C][1], STREAMS[A][6], STREAMS[C][2]]  # of C before its stream comes; of A after it was taken


def batch(*cuts):
    """(stream, first, last) each, both included; a gap comes with the part that covers it."""
    parts, missing = [], []
    for stream, first, last in cuts:
        sequences = [n for n in STREAMS[stream] if first <= n <= last]
        found = [STREAMS[stream][n] for n in sequences]
        parts.append(Part(stream, last, [e.encode() for e in found] if last % 2 else found, sequences))
        if stream == A and first <= GAP.last <= last:
            missing.append(GAP)
    return Batch(tuple(parts), tuple(missing))


def settle(warehouse):
    warehouse.settle(RULINGS, T0 + SECOND, 100)


def live(warehouse):
    """The life that dies."""
    materialiser = Materialiser(warehouse)
    materialiser.take(batch((A, 1, 8), (B, 1, 2)))
    settle(warehouse)
    warehouse.append([], [], AGAIN)
    warehouse.announced([STREAMS[A][3].id])
    materialiser.take(batch((A, 9, 12), (B, 3, 6)))
    materialiser.take(batch((C, 1, 2)))
    settle(warehouse)


def go_on(warehouse):
    """What a successor does: nobody tells it how far the other came."""
    materialiser = Materialiser(warehouse)
    warehouse.append([], [], AGAIN)
    for last in range(3, 13, 3):
        materialiser.take(batch(*((stream, 1, min(last, ENDS[stream])) for stream in (B, A))))
    settle(warehouse)
    materialiser.take(batch((C, 1, 2)))
    warehouse.append([], [], AGAIN)
    settle(warehouse)
    warehouse.announced([STREAMS[A][3].id])


def tell(warehouse):
    reader = warehouse.reader()
    shown = [[e.id, e.verdict.name, e.version] for e in reader.events(OPERATOR, ALWAYS)]
    counts = reader.counts(OPERATOR, ALWAYS, ALWAYS)
    reader.close()
    sums = warehouse.sums()
    return {
        "shown": shown,
        "sums": sums,
        "visible": counts.visible,
        "unannounced": [e.id for e in warehouse.unannounced(100)],
        "leaving": warehouse._client.rows("any_leaving")[0][0],
    }


def dying(number):
    """Have the process die before its `number`-th statement that writes."""
    passed = 0

    def armed(original):
        def statement(self, *arguments, **values):
            nonlocal passed
            passed += 1
            if passed == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(self, *arguments, **values)

        return statement

    for name in WRITES:
        setattr(ClickHouseClient, name, armed(getattr(ClickHouseClient, name)))


def forked(work):
    """Run the work in a process of its own; return how it ended."""
    child = os.fork()
    if not child:
        try:
            work()
        except BaseException as error:
            print(json.dumps({"error": repr(error)}), flush=True)
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def opened(folder, *steps, die_at=0):
    def work():
        if die_at:
            dying(die_at)
        warehouse = ClickHouseWarehouse.open(f"chdb://{folder}", announces=True)
        for step in steps:
            told = step(warehouse)
        warehouse.close()
        if told:
            print(json.dumps({"at": folder.name} | told), flush=True)

    return forked(work)


def main(root, chance, stride):
    if opened(root / "empty", lambda _: None) or opened(root / "whole", live, go_on, tell):
        sys.exit("the life without a death failed")
    number = chance.randrange(1, stride + 1) - stride
    ended = -signal.SIGKILL
    while ended == -signal.SIGKILL:
        number += stride
        folder = root / f"death-{number}"
        shutil.copytree(root / "empty", folder, symlinks=True)
        ended = opened(folder, live, die_at=number)
        opened(folder, go_on, die_at=chance.randrange(1, 60))
        if opened(folder, go_on, tell):
            sys.exit(f"nothing can be read after death {number}")
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), random.Random(int(sys.argv[2])), int(sys.argv[3]))
