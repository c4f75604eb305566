"""Hits delivered to a real Kafka by each server, for a second at a low pace: each one is there once.

Whoever lacks Go, its modules, a compiler or the engines sees these skipped, with the reason.
"""

import asyncio
import json
import re
import shutil
import tempfile
from pathlib import Path
from urllib.parse import unquote

import pytest
from aiokafka import AIOKafkaConsumer

from collector.event import Event
from loadtest.bench.cpu import Cores
from loadtest.bench.delivered import __main__ as delivered
from loadtest.heads import heads, made_up_keys
from loadtest.peers.engines import Engines, missing_engines
from loadtest.peers.franz import FranzGo
from loadtest.peers.server import KEEP_ALIVE, Place, ServerFailed, ask
from loadtest.peers.starlette_kafka import StarletteKafka
from tests.eventually import eventually

KEYS = made_up_keys(1, 3)
needs_engines = pytest.mark.skipif(missing_engines(redis=True) is not None, reason=str(missing_engines(redis=True)))
needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="cc is not installed")


@pytest.fixture(scope="module")
def folder():
    with tempfile.TemporaryDirectory(prefix="bench-") as name:  # a Unix address has 107 bytes: pytest's lie deep
        yield Path(name)


@pytest.fixture(scope="module")
def engines(folder):
    started = Engines(folder / "engines", Cores.of_this_machine().load, redis=True)
    yield started
    started.stop()


def prepared(server, folder):
    if reason := server.missing():
        pytest.skip(reason)
    try:
        server.prepare(folder, Cores.of_this_machine())
    except ServerFailed as error:
        pytest.skip(str(error))  # its modules cannot be fetched
    return server


async def records(engines):
    """All that is in the topic of events."""
    consumer = AIOKafkaConsumer("pixel.events", bootstrap_servers=engines.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        wanted, found = sum((await consumer.end_offsets(consumer.assignment())).values()), []
        while len(found) < wanted:
            for part in (await consumer.getmany(timeout_ms=1000)).values():
                found += part
        return found
    finally:
        await consumer.stop()


@needs_engines
@pytest.mark.parametrize("kind", [FranzGo, StarletteKafka])
def test_a_peer_delivers_what_its_gate_knows_and_answers_the_rest_alike(kind, engines, folder):
    server = prepared(kind(KEYS, engines), folder)
    place = folder / server.name
    place.mkdir()
    running = server.start(Place(place, KEEP_ALIVE, Cores.of_this_machine()))
    try:
        before = {(record.partition, record.offset) for record in asyncio.run(records(engines))}
        known = heads(7, 20, KEYS)
        sizes = {ask(running.port, head) for head in (*known, *heads(7, 20, ["unknown"]))}
        eventually(lambda: running.kept() >= len(known), 20)
    finally:
        running.stop()
    assert len(sizes) == 1
    new = [record for record in asyncio.run(records(engines)) if (record.partition, record.offset) not in before]
    events = [Event.decode(record.value) for record in new]
    assert len({event.id for event in events}) == len(events) == len(known)
    assert [record.key.decode() for record in new] == [f"{event.account}:{event.visitor}" for event in events]
    assert {event.write_key for event in events} <= set(KEYS)
    assert {event.account for event in events} <= {"account-0", "account-1", "account-2"}
    assert all(event.user_agent and event.ip == "127.0.0.0" and event.client_time for event in events)
    sent = {unquote(found[1].decode()) for head in known if (found := re.search(rb"[?&]u=([^&]*)", head))}
    assert {event.url for event in events} == sent


@needs_engines
@needs_cc
def test_every_server_is_measured_at_one_pace_and_loses_nothing(folder):
    brief = ("--rounds", "1", "--seconds", "1", "--warmup", "0.5", "--paces", "200", "--connections", "4")
    assert delivered.main([*brief, "--to", str(folder / "out"), "--ledgers", str(folder / "ledgers")]) == 0
    whole = json.loads((folder / "out" / "delivered.json").read_text())
    skipped = {name for name, what in whole["servers"].items() if what.startswith("skipped")}
    field = {"fasthttp-franz", "starlette-kafka", "pixelgate", "pixelgate-linger"}
    assert {one["server"] for one in whole["turns"]} == field - skipped
    for one in whole["turns"]:
        faults = [fault for fault in one["faults"] if "hits/s, not" not in fault]  # a busy machine is off its pace
        assert faults == []
        assert one["delivered"] == one["answered"] > 0
        assert all(seconds >= 0 for seconds in one["cpu_seconds"].values())
    if skipped:
        pytest.skip(f"measured without {', '.join(sorted(skipped))}")


@needs_engines
def test_a_server_with_engines_of_its_own_tells_what_they_held_after_they_stopped(folder):
    server, place = StarletteKafka(KEYS), folder / "own"
    place.mkdir()
    running = server.start(Place(place, KEEP_ALIVE, Cores.of_this_machine()))
    try:
        for head in heads(7, 5, KEYS):
            ask(running.port, head)
    finally:
        running.stop()
    assert running.kept() == 5
