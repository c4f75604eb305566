"""I12: nothing of a deleted account is found anywhere after its receipt; I8: nor does it come back."""

import asyncio
import secrets

import psycopg
import pytest

from collector.journal import Journal
from collector.publisher.dead_letters import DeadLetters, Letter, find
from consumers.__main__ import _purge
from consumers.config import ConsumerSettings
from consumers.dead_letters import DeadLetters as PoisonFiles
from consumers.dead_letters import find as find_poison
from consumers.kafka_records import Poison
from consumers.moments import ALWAYS
from consumers.purge import Purger
from consumers.purge_places import Files
from consumers.purging import PURGE_ROLE
from consumers.warehouse.protocol import Audience
from deploy.verify import verify_all
from gating.ledger import Ledger, Who, ledger_url
from gating.receipts import receipt_view
from gating.status import DAY_US, Role, Verdict
from tests.consumers.events import event
from tests.consumers.house import House, now_us
from tests.eventually import aeventually

OTHER_KEY = "O7hGs4JkE1nUf5RaV8wMz2"
EFFECTS = ("stop_billing", "revoke_sessions", "stop_integrations", "notify")


def files_with(root, marker):
    """The files below that hold these bytes."""
    found = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
    return [str(path.relative_to(root)) for path in found if marker.encode() in path.read_bytes()]


def mark():
    """Random letters: no compression says them shorter, so they stand in a file as they are."""
    return "".join(secrets.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") for _ in range(40))


def rows_with(url, *words):
    """The tables of a database in which any of the words stands."""
    with psycopg.connect(url) as connection:
        tables = [row[0] for row in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        return [
            table
            for table in tables
            for (row,) in connection.execute(f'SELECT to_json(t)::text FROM "{table}" t')
            for word in words
            if word in row or word.encode().hex() in row
        ]


def purger_of(house, service):
    url = ledger_url(house.data, house.database_url)
    return Purger(
        lambda: Ledger.open_existing(url),
        service.warehouse,
        Files(house.data),
        service.loop.on_worker,
        now_us,
        fence_ns=0,
    )


def delete(house, account="shop", at_us=None):
    """The rulebook's way, long enough ago; other effects than the purge are carried out."""
    house.flip("delete", account, at_us=now_us() - 8 * DAY_US)
    house.lapse(account, now_us())
    for kind in EFFECTS:
        house.ledger.delivered(kind, 2**62)


async def purged(purger, passes=20):
    """Until nothing is owed any more; a pass waits for nothing, and these tests need no time to pass."""
    for _ in range(passes):
        if not await purger.step():
            return
        assert purger.trouble == ""
    raise AssertionError(f"not purged in {passes} passes")


async def taken(service):
    """All that the journals hold now; ended ones are removed."""
    await service.loop.step(0.3)  # new journals are looked for four times a second
    while service.owed():
        await service.loop.step(0.3)
    await service.loop.step(0)
    await service.loop.step(0)


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
async def test_nothing_of_a_deleted_account_is_found_after_its_receipt(tmp_path, request, database):
    """I12: not one byte of it in warehouse, ledger, journals, dead letters, quarantine; all of the others' is there."""
    url = request.getfixturevalue("postgres_url") if database == "postgres" else None
    house = House(tmp_path / "data", database_url=url)
    marker, other, word = mark(), mark(), mark()
    house.create(at_us=now_us() - 30 * DAY_US)
    house.create("else", OTHER_KEY, at_us=now_us() - 30 * DAY_US)
    with house.ledger.begin() as transaction:
        transaction.add_key("shop", at_us=now_us() - 20 * DAY_US, who=Who("ops-1", Role.OPERATOR), source=word)
        paid = {"amount": 4900, "currency": "EUR", "email": "a@example.org", "transaction_id": "txn_1"}
        assert transaction.record_payment("shop", at_us=now_us() - DAY_US, **paid)
        assert not transaction.record_payment("shop", at_us=now_us(), **paid)
    house.hit(*(f"v={marker}&n={n}" for n in range(20)))
    house.hit(f"v={marker}", verdict=Verdict.HIDE)
    house.hit(f"v={marker}", verified=False, account="")
    house.hit(*(f"v={other}" for _ in range(7)), account="else", key=OTHER_KEY)
    service = house.service()
    await taken(service)
    letters, poison = DeadLetters(house.data.dead_letters), PoisonFiles(house.data.dead_letters)
    for sequence, account, visitor in ((1, "shop", marker), (2, "else", other)):
        lost = event(sequence, "cd" * 16, account=account, visitor=visitor)
        letters.append([Letter("cd" * 16, sequence, "pixel.events", "too large", now_us(), lost.encode())])
        poison.append(
            [Poison("pixel.events", 0, sequence, 0, "?", f"{account}:{visitor}".encode(), visitor.encode(), ())]
        )
    (house.data.quarantine / "segment").write_bytes(marker.encode())
    delete(house)
    assert files_with(house.data.root, marker)
    house.journal.close()  # as a worker does that stops; a live one goes on in another segment after a minute
    await taken(service)
    await purged(purger_of(house, service))
    assert files_with(house.data.root, marker) == []
    assert files_with(house.data.root, word) == []
    if url:
        assert rows_with(url, marker, word) == []
    report = await service.report("else", Audience.OPERATOR, ALWAYS)
    assert report["events"]["visible"] == 7
    assert [letter.decoded().account for _, letter in find(house.data.dead_letters).unsent] == ["else"]
    assert [one.key for one in find_poison(house.data.dead_letters)] == [f"else:{other}".encode()]
    letters.append([Letter("cd" * 16, 3, "pixel.events", "too large", now_us(), event(3, "cd" * 16).encode())])
    assert len(find(house.data.dead_letters).unsent) == 2  # its file was written anew: it goes on in another
    receipt = receipt_view(house.ledger, "shop")
    found = {row["store"].partition(" ")[0]: row["found"] for row in receipt["stores"]}
    assert (found["warehouse"], found["letters"], found["ledger"] >= 1) == (22, 3, True)
    assert receipt["remains"]["billing_records"] == 1
    assert house.ledger.purges.owed(10) == []
    letters.close()
    poison.close()
    await service.close()
    house.close()


async def test_late_events_of_a_deleted_account_stay_out_and_everything_still_adds_up(house):
    """I8: a journal that is adopted long after the receipt; `verify` counts what was purged and what came late."""
    house.create(at_us=now_us() - 30 * DAY_US)
    house.create("else", OTHER_KEY, at_us=now_us() - 30 * DAY_US)
    house.hit("v=a", "v=b")
    service = house.service()
    await taken(service)
    delete(house)
    house.journal.close()
    await taken(service)
    await purged(purger_of(house, service))
    late, marker = Journal.create(house.data.journals), mark()
    house.hit(f"v={marker}", journal=late)
    house.hit(f"v={marker}", account="", verified=False, journal=late)
    house.hit("v=c", account="else", key=OTHER_KEY, journal=late)
    late.close()
    await taken(service)
    assert files_with(house.data.root, marker) == []
    assert service.loop.materialiser.taken.purged == 2
    await service.close()
    sums = await asyncio.to_thread(verify_all, house.data, ConsumerSettings(data=house.data.root))
    assert (sums["ok"], sums["purged"], sums["warehouse"], sums["faults"]) == (True, 4, 1, [])


async def test_a_warehouse_restored_from_a_backup_gets_its_tombstones_again(house):
    """I8: restores replay tombstones."""
    house.create(at_us=now_us() - 30 * DAY_US)
    marker = mark()
    house.hit(*(f"v={marker}" for _ in range(3)))
    service = house.service()
    await taken(service)
    await service.close()
    backup = house.data.warehouse.read_bytes()
    delete(house)
    house.journal.close()
    service = house.service()
    await taken(service)
    await purged(purger_of(house, service))
    await service.close()
    house.data.warehouse.write_bytes(backup)
    assert files_with(house.data.root, marker)
    service = house.service()
    assert await purger_of(house, service).step() == 0
    assert service.warehouse.tombstones() == {"shop"}
    assert files_with(house.data.root, marker) == []
    await service.close()


async def test_a_receipt_waits_for_every_place_and_every_effect(house):
    """I12: a host that has told of itself and is silent may hold events; what is still to be sent needs the address."""
    house.create(at_us=now_us() - 30 * DAY_US)
    house.flip("delete", at_us=now_us() - 8 * DAY_US)
    house.lapse("shop", now_us())
    house.journal.close()
    house.ledger.purges.note_place("host-b", now_us())
    service = house.service()
    await taken(service)
    purger = purger_of(house, service)
    for _ in range(6):
        assert await purger.step() == 1
    waits = receipt_view(house.ledger, "shop")["waits_for"]
    assert any("host-b" in waiting for waiting in waits)
    assert any("stop_billing" in waiting for waiting in waits)
    assert house.ledger.purges.forget_place("host-b")
    assert await purger.step() == 1
    for kind in EFFECTS:
        house.ledger.delivered(kind, 2**62)
    assert await purger.step() == 0
    assert receipt_view(house.ledger, "shop")["purged_at"]
    await service.close()


async def test_a_segment_that_is_not_unlinked_yet_holds_the_receipt_up(house):
    """I12: journals are not rewritten; a live one's segment goes once its writer is past it."""
    house.create(at_us=now_us() - 30 * DAY_US)
    house.hit("v=a")
    service = house.service()
    await taken(service)
    delete(house)
    purger = purger_of(house, service)
    for _ in range(4):
        assert await purger.step() == 1
    assert house.journal.roll(0)
    await taken(service)
    await purged(purger)
    await service.close()


async def test_a_report_is_read_while_the_file_is_written_anew(house):
    house.create(at_us=now_us() - 30 * DAY_US)
    house.create("else", OTHER_KEY, at_us=now_us() - 30 * DAY_US)
    house.hit("v=a")
    house.hit(*(f"v={n}" for n in range(50)), account="else", key=OTHER_KEY)
    service = house.service()
    await taken(service)
    delete(house)
    house.journal.close()
    await taken(service)
    purging = asyncio.create_task(purged(purger_of(house, service)))
    reports = 0
    while not purging.done() or not reports:
        report = await service.report("else", Audience.OPERATOR, ALWAYS)
        assert report["events"]["visible"] == 50
        reports += 1
    await purging
    await service.close()


async def test_payments_outlive_their_account_for_their_term_and_go_then(house):
    """RULEBOOKS, clickport 4 and 13; a day of steady running first: a wrong date must not destroy the books."""
    house.create()
    with house.ledger.begin() as transaction:
        for n, years in ((1, 8), (2, 6)):
            paid = {"amount": n, "currency": "EUR", "email": "a@example.org", "transaction_id": f"txn_{n}"}
            transaction.record_payment("shop", at_us=now_us() - years * 365 * DAY_US, **paid)
    service = house.service()
    boot = [0]
    purger = Purger(
        lambda: Ledger.open_existing(ledger_url(house.data, None)), service.warehouse, Files(house.data),
        service.loop.on_worker, now_us, boot_ns=lambda: boot[0],
    )  # fmt: skip
    hours = 3600 * 1_000_000_000
    for at, left in ((0, 1), (23 * hours, 1), (25 * hours, 0)):
        boot[0] = at
        await purger.step()
        assert house.ledger.purges.payments_ended(now_us()) == left
    assert house.ledger.purges.payments_ended(now_us() + 365 * DAY_US * 2) == 1
    await service.close()


async def test_a_consumer_leaves_purging_to_whoever_claims_it(house):
    """`consumer purge` beside `consumer materialise` on one data directory: one of them at a time."""
    house.create()
    service = house.service()
    purging = asyncio.create_task(_purge(house.data, purger_of(house, service)))
    await aeventually(lambda: house.data.is_held(PURGE_ROLE))
    claim = house.data.claim(PURGE_ROLE, 30)
    await asyncio.to_thread(claim.__enter__)
    assert not purging.done()
    await asyncio.to_thread(claim.__exit__, None, None, None)
    purging.cancel()
    await asyncio.wait([purging])
    await service.close()
