"""Service times: absent unless asked for; then each answered hit of the fast path is timed once, over all workers."""

import re
import socket
from time import perf_counter_ns

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from collector.metrics import CounterFile, Counters, read_counters
from collector.service_times import BOUNDS, GIVEN, WRITTEN, ServiceTimes, Times, bucket_of, timed_class
from collector.totals import fold
from gating.exposition import WorkerCounters
from tests.collector.counter_files import journal_id, kept
from tests.collector.http.wire import Wire, pixel
from tests.eventually import eventually
from tests.processes import collector, free_port

SECOND_NS = 10**9
LONGEST_NS = 1 << 30


def timed_wire():
    wire, times = Wire(), ServiceTimes()
    wire.front = timed_class(wire.front, times)
    return wire, times


def counts(times):
    return {until: one.count for until, one in times.histograms().items()}


@given(st.integers(1 << 11, LONGEST_NS - 1))
def test_a_bucket_holds_the_times_below_its_bound_and_is_an_eighth_of_its_octave(ns):
    bound = BOUNDS[bucket_of(ns)]
    assert ns < bound <= ns * 1.125 + 1
    assert bucket_of(bound - 1) == bucket_of(ns)
    assert bucket_of(bound) == bucket_of(ns) + 1


@given(st.lists(st.integers(0, 1 << 31)))
def test_every_time_is_counted_in_the_bucket_it_belongs_to(times_ns):
    times = Times()
    for ns in times_ns:
        times.note(ns)
    told = times.histogram()
    below = 0
    for bound, count in told.buckets:
        below += count
        assert below == sum(ns < bound for ns in times_ns)
    assert (told.count, told.sum_ns) == (len(times_ns), sum(times_ns))


def test_what_is_shorter_or_longer_than_any_bucket_is_counted_all_the_same():
    times = ServiceTimes()
    for ns in (0, 1, 2047, LONGEST_NS, 1 << 60):
        times.given.note(ns)
    told = times.histograms()[GIVEN]
    assert told.count == 5
    assert told.buckets[0] == (BOUNDS[0], 3)
    assert sum(hits for _, hits in told.buckets) == 3
    assert bucket_of(1 << 60) == len(BOUNDS)


async def test_each_hit_of_the_fast_path_that_is_answered_is_timed_once_whatever_becomes_of_it():
    wire, times = timed_wire()
    for target in (b"/p/wk_accept.gif", b"/p/wk_hide.gif", b"/p/wk_drop.gif", b"/p/nobody.gif"):
        assert (await wire.ask(pixel(target))).startswith(b"HTTP/1.1 200 ")
    wire.journal.fill_up()
    assert (await wire.ask(pixel())).startswith(b"HTTP/1.1 503 ")
    assert counts(times) == {GIVEN: 5, WRITTEN: 5}
    wire.close()


async def test_a_hit_is_timed_from_its_own_chunk_on():
    wire, times = timed_wire()
    client = wire.connect()
    outside_ns = 0
    for _ in range(2):
        began_ns = perf_counter_ns()
        client.send(pixel())
        await wire.quiet()
        outside_ns += perf_counter_ns() - began_ns
        for _ in range(50):  # what passes between two hits belongs to neither
            await wire.quiet()
    given_ns, written_ns = (one.sum_ns for one in times.histograms().values())
    assert 0 < given_ns < written_ns < outside_ns
    wire.close()


async def test_what_the_reference_answers_is_not_timed():
    wire, times = timed_wire()
    client = wire.connect()
    client.send(pixel()[:10], pixel()[10:])
    await wire.quiet()
    assert client.received.startswith(b"HTTP/1.1 200 ")
    assert counts(times) == {GIVEN: 0, WRITTEN: 0}
    wire.close()


async def test_a_hit_held_back_behind_another_has_a_time_of_its_own():
    wire, times = timed_wire()
    client = wire.connect()
    client.send(pixel(), pixel(b"/p/wk_hide.gif"))
    await wire.quiet()
    assert client.received.count(b"HTTP/1.1 200 ") == 2
    assert counts(times) == {GIVEN: 2, WRITTEN: 2}
    given_ns, written_ns = (one.sum_ns for one in times.histograms().values())
    assert 0 < given_ns < written_ns
    wire.close()


async def test_a_hit_that_nobody_is_left_to_be_told_of_is_not_timed():
    wire, times = timed_wire()
    client = wire.connect()
    client.send(pixel())
    client.transport.abort()
    client.protocol.connection_lost(None)
    await wire.quiet()
    assert len(wire.journal.records) == 1
    assert counts(times) == {GIVEN: 0, WRITTEN: 0}


def fire(port, hits):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        for _ in range(hits):
            client.sendall(pixel())
            assert client.recv(65536).startswith(b"HTTP/1.1 200 ")


def exposed(directory):
    registry = CollectorRegistry(auto_describe=False)
    registry.register(WorkerCounters(directory))
    return generate_latest(registry).decode()


def test_workers_that_time_their_hits_sum_up_in_the_metrics_and_others_tell_nothing(tmp_path):
    """The counts are those of the hits; a worker without the setting publishes no times at all."""
    data = tmp_path / "data"
    plain, first, second = free_port(), free_port(), free_port()
    with collector(data, tmp_path / "plain", plain):
        fire(plain, 3)
        eventually(lambda: sum(one.hits for one in read_counters(data / "counters")) == 3)
        assert all(one.service == {} for one in read_counters(data / "counters"))
        assert "pixelgate_service_seconds" not in exposed(data / "counters")
        with (
            collector(data, tmp_path / "first", first, worker=1, service_times=True),
            collector(data, tmp_path / "second", second, worker=2, service_times=True),
        ):
            fire(first, 20)
            fire(second, 7)
            eventually(lambda: sum(one.hits for one in read_counters(data / "counters")) == 30)
            text = exposed(data / "counters")
    for until in (GIVEN, WRITTEN):
        pattern = rf'^pixelgate_service_seconds_bucket\{{le="(\S+)",until="{until}"\}} (\S+)$'
        buckets = re.findall(pattern, text, re.MULTILINE)
        assert [float(bound) for bound, _ in buckets] == sorted(float(bound) for bound, _ in buckets)
        assert [float(hits) for _, hits in buckets] == sorted(float(hits) for _, hits in buckets)
        assert buckets[-1] == ("+Inf", "27.0")
        assert f'pixelgate_service_seconds_count{{until="{until}"}} 27.0' in text


def test_the_times_of_workers_that_are_gone_are_folded_and_read_back(tmp_path):
    """Counters never go down: a scrape after the fold tells what it told before."""
    data, journals = tmp_path / "counters", tmp_path / "journals"
    data.mkdir()
    journals.mkdir()
    for number, ns in ((1, 5_000), (2, 5_000), (3, 90_000)):
        times = ServiceTimes()
        times.written.note(ns)
        file = CounterFile(data, journal=journal_id(number), worker=number)
        file.publish(Counters(), connections=0, version=1, leased=True, clean=True, service=times.histograms())
    before = exposed(data)
    assert 'pixelgate_service_seconds_sum{until="written"} 0.0001' in before
    assert fold(data, journals, lambda: kept(data)) == 3
    (total,) = read_counters(data)
    assert (total.service[WRITTEN].count, total.service[WRITTEN].sum_ns) == (3, 100_000)
    assert exposed(data) == before
