"""Linger: a worker waits between ticks where it has time to spare and a pause catches hits, and nowhere else."""

import asyncio
import re
import shutil
import socket
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.group import PROMPT_HITS, Group
from collector.journal import journals, show
from collector.linger import FULL_HITS, IDLE_SHARE, LINGER_TICKS, LOOK_TICKS, Linger
from collector.outcome import Outcome
from gating.status import Verdict
from tests.collector.http.test_group import Waiter, gate_of
from tests.collector.http.wire import MemoryJournal
from tests.eventually import eventually
from tests.faults.roles import Roles, must_be_pixel

PAUSE_SECONDS = 0.0005


class Thread:
    """A thread whose time is told: `tick` uses some of the processor and has the rest of the time nothing to do."""

    def __init__(self) -> None:
        self.wall_ns = self.cpu_ns = 0
        self.pauses: list[float] = []
        self.linger = Linger(
            PAUSE_SECONDS, wall_ns=lambda: self.wall_ns, cpu_ns=lambda: self.cpu_ns, sleep=self.pauses.append
        )

    def tick(self, hits: int, us: float, idle: float) -> int:
        """A tick of so many hits that came over `us`, `idle` of them unused; how many pauses followed."""
        before = len(self.pauses)
        self.wall_ns += int(us * 1000)
        self.cpu_ns += int(us * 1000 * (1 - idle))
        self.linger.after_tick(hits)
        return len(self.pauses) - before

    def lingering(self) -> "Thread":
        """After ticks that say a pause pays."""
        for _ in range(LOOK_TICKS):
            assert not self.tick(1, 100, 0.6)
        return self


def test_a_worker_with_time_to_spare_lingers_after_a_look_and_looks_anew_after_a_while():
    thread = Thread().lingering()
    for _ in range(3):
        assert [thread.tick(2, 400, 0.8) for _ in range(LINGER_TICKS)] == [1] * (LINGER_TICKS - 1) + [0]
        assert [thread.tick(1, 100, 0.6) for _ in range(LOOK_TICKS)] == [0] * LOOK_TICKS
    assert set(thread.pauses) == {PAUSE_SECONDS}


@given(st.lists(st.tuples(st.integers(1, 40), st.floats(1, 10_000), st.floats(0, IDLE_SHARE * 0.9)), max_size=100))
def test_a_worker_at_its_limit_never_lingers(ticks):
    """Whatever it does with its time, and however slow it is: the capacity of a worker is not lowered."""
    thread = Thread()
    for hits, us, idle in ticks:
        thread.tick(hits, us, idle)
    assert thread.pauses == []


@pytest.mark.parametrize(("hits", "us"), [(1, 340), (1, 45), (10, 450)], ids=["too-far-apart", "dense", "dense-ticks"])
def test_where_a_pause_catches_no_hit_or_ticks_are_full_by_themselves_nobody_lingers(hits, us):
    thread = Thread()
    for _ in range(10 * LOOK_TICKS):
        thread.tick(hits, us, 0.9)
    assert thread.pauses == []


def test_a_full_tick_ends_lingering_at_once():
    thread = Thread().lingering()
    assert thread.tick(FULL_HITS - 1, 400, 0.1)
    assert not thread.tick(FULL_HITS, 400, 0.1)
    assert [thread.tick(1, 100, 0.0) for _ in range(2 * LOOK_TICKS)] == [0] * 2 * LOOK_TICKS


class Noting(Linger):
    """What each tick held, and how many of its waiters had their answer when the pause came."""

    def __init__(self) -> None:
        super().__init__(PAUSE_SECONDS)
        self.waiters: list[Waiter] = []
        self.seen: list[tuple[int, int]] = []

    def after_tick(self, hits: int) -> None:
        self.seen.append((hits, sum(bool(waiter.answers) for waiter in self.waiters)))


async def test_a_pause_comes_once_a_tick_and_after_its_answers_whatever_the_verdicts():
    """I2: dropped hits count as kept ones do, so a pause tells nothing of a status."""
    linger, journal, fatal = Noting(), MemoryJournal(), []
    gate = gate_of(a=Verdict.ACCEPT, h=Verdict.HIDE, d=Verdict.DROP)
    loop = asyncio.get_running_loop()
    group = Group(gate, journal, [0] * len(Outcome), loop, fatal.append, linger)
    for keys in ([b"a", b"h", b"d"], [b"d"], [b"a"] * (PROMPT_HITS + 3)):  # the last is committed twice
        linger.waiters = [Waiter(journal) for _ in keys]
        for waiter, key in zip(linger.waiters, keys, strict=True):
            group.add(waiter, key, b"203.0.113.7", b"GET /p/k.gif HTTP/1.1\r\nHost: c\r\n\r\n")
        await asyncio.sleep(0)
    assert linger.seen == [(3, 3), (1, 1), (PROMPT_HITS + 3, PROMPT_HITS + 3)]
    assert fatal == []


class Held:
    """A waiter whose answer takes up a chunk that was held back behind it, as a pipelined one is."""

    def __init__(self, group: Group, then: Waiter) -> None:
        self.group, self.then = group, then

    def committed(self, _kept: bool) -> None:
        self.group.add(self.then, b"a", b"203.0.113.7", b"")


async def test_no_pause_comes_while_a_hit_waits():
    linger, journal = Noting(), MemoryJournal()
    group = Group(
        gate_of(a=Verdict.ACCEPT), journal, [0] * len(Outcome), asyncio.get_running_loop(), pytest.fail, linger
    )
    linger.waiters = [Waiter(journal)]
    group.add(Held(group, linger.waiters[0]), b"a", b"203.0.113.7", b"")
    await asyncio.sleep(0)
    assert linger.seen == []
    await asyncio.sleep(0)
    assert linger.seen == [(1, 1)]


def pixels_in_turn(port: int, enough) -> int:
    """One client that asks again as soon as it is answered, until there was enough; how often it was answered."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        answered = 0

        def some() -> bool:
            nonlocal answered
            for _ in range(500):
                client.sendall(b"GET /p/x.gif HTTP/1.1\r\nHost: x\r\n\r\n")
                must_be_pixel(client)
                answered += 1
            return enough()

        eventually(some, 30)
    return answered


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_the_setting_makes_a_worker_pause_and_every_answered_hit_is_in_its_journal(tmp_path):
    """I1, with a real worker whose pauses are counted by what it asks of the kernel."""
    calls = tmp_path / "calls"
    calls.touch()
    with Roles(tmp_path) as roles:
        worker = roles.collector(linger_us=1000)
        argv = ["strace", "-f", "-e", "trace=clock_nanosleep", "-o", str(calls), "-p", str(worker.pid)]
        with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as tracer:
            try:
                pauses = re.compile(r"clock_nanosleep\(.*tv_nsec=").findall
                answered = pixels_in_turn(roles.port, lambda: len(pauses(calls.read_text())) >= LINGER_TICKS)
            finally:
                tracer.terminate()
        journal = next(info.id for info in journals(roles.directory.journals))
        assert sum(1 for _ in show(roles.directory.journals / journal)) == answered
