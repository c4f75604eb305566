"""The group: one decision, one frame and one answer a tick; its bounds; durability `disk`."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.batch import EVENT_BYTES_MAX, EVENTS_MAX
from collector.errors import JournalFailed
from collector.gate import Gate, boot_ns
from collector.group import GROUP_HITS_MAX, PROMPT_HITS, TICK_PROMPT_HITS, Group, SyncedGroup
from collector.hit import HEAD_BYTES_MAX
from collector.journal.format import PAYLOAD_BYTES_MAX
from collector.outcome import Outcome
from gating.feed import KeyState, StatusChange
from gating.status import Status, Verdict
from tests.collector.http.wire import MemoryJournal
from tests.eventually import aeventually

HEAD = b"GET /p/k.gif HTTP/1.1\r\nHost: c\r\n\r\n"


class Waiter:
    """Notes its answers, and what stood in the journal when they were given."""

    def __init__(self, journal: MemoryJournal) -> None:
        self.journal = journal
        self.answers: list[bool] = []
        self.kept_when_answered = -1

    def committed(self, kept: bool) -> None:
        self.answers.append(kept)
        self.kept_when_answered = len(self.journal.records)


class Tick:
    """A loop of one callback queue; `end` runs what the tick scheduled."""

    def __init__(self) -> None:
        self.scheduled = []

    def call_soon(self, callback) -> None:
        self.scheduled.append(callback)

    def end(self) -> None:
        scheduled, self.scheduled = self.scheduled, []
        for callback in scheduled:
            callback()


def gate_of(boot_clock=boot_ns, **verdicts: Verdict) -> Gate:
    gate = Gate(boot_clock)
    for version, (key, verdict) in enumerate(verdicts.items(), 1):
        change = StatusChange(version, f"of-{key}", 1, Status.ACTIVE, verdict, None, None, False, (KeyState(key),))
        gate.apply(change)
    gate.stand(len(verdicts))
    gate.lease(boot_clock() + 10**12)
    return gate


class Bench:
    def __init__(self, gate: Gate | None = None) -> None:
        self.tick = Tick()
        self.journal = MemoryJournal()
        self.outcomes = [0] * len(Outcome)
        self.fatal = []
        self.gate = gate or gate_of(a=Verdict.ACCEPT, h=Verdict.HIDE, d=Verdict.DROP)
        self.group = Group(self.gate, self.journal, self.outcomes, self.tick, self.fatal.append)

    def hit(self, key: bytes, head: bytes = HEAD) -> Waiter:
        waiter = Waiter(self.journal)
        self.group.add(waiter, key, b"203.0.113.7", head)
        return waiter


@given(st.lists(st.sampled_from([b"a", b"h", b"d", b"x", b""]), min_size=1, max_size=PROMPT_HITS))
def test_a_tick_is_one_frame_answered_once_and_counted_once(keys):
    """I1, I2, I4."""
    bench = Bench()
    waiters = [bench.hit(key) for key in keys]
    assert len(bench.tick.scheduled) == 1
    assert all(waiter.answers == [] for waiter in waiters)
    bench.tick.end()
    kept = [key for key in keys if key in (b"a", b"h")]
    assert len(bench.journal.frames) == bool(kept)
    assert [record.account for record in bench.journal.records] == [f"of-{key.decode()}" for key in kept]
    assert all(waiter.answers == [True] and waiter.kept_when_answered == len(kept) for waiter in waiters)
    assert sum(bench.outcomes) == len(keys)
    assert bench.outcomes[Outcome.DROPPED_NO_KEY] == keys.count(b"")


def test_the_clock_is_read_after_the_last_chunk():
    """I5: a worker that freezes between reading and committing gates by what holds when it wakes."""
    clock = [10**9]
    gate = gate_of(lambda: clock[0], a=Verdict.ACCEPT)
    bench = Bench(gate)
    bench.hit(b"a")
    clock[0] += 10**15  # frozen for long: the lease has run out
    gate.apply(StatusChange(9, "of-a", 1, Status.CANCELED, Verdict.DROP, None, None, False, (KeyState("a"),)))
    bench.hit(b"a")
    bench.tick.end()
    assert bench.outcomes[Outcome.UNVERIFIED] == 2
    assert [(record.verdict, record.verified) for record in bench.journal.records] == [(Verdict.HIDE, False)] * 2


def test_a_record_says_all_that_was_known_of_its_hit():
    bench = Bench()
    bench.hit(b"h", HEAD)
    bench.tick.end()
    (record,) = bench.journal.records
    assert (record.verdict, record.verified, record.version) == (Verdict.HIDE, True, 3)
    assert (record.account, record.peer, record.head, record.body) == ("of-h", "203.0.113.7", HEAD, None)


def test_of_many_hits_the_first_are_kept_and_answered_before_the_last_are_read():
    """I1: in frames of their own; the commit that ends the tick takes the rest."""
    bench = Bench()
    waiters = [bench.hit(b"a") for _ in range(PROMPT_HITS)]
    assert bench.journal.frames == []
    waiters += [bench.hit(b"a") for _ in range(PROMPT_HITS + 3)]
    assert [len(frame) for frame in bench.journal.frames] == [PROMPT_HITS] * 2
    assert [waiter.answers for waiter in waiters] == [[True]] * PROMPT_HITS * 2 + [[]] * 3
    bench.tick.end()
    assert [len(frame) for frame in bench.journal.frames] == [PROMPT_HITS, PROMPT_HITS, 3]
    assert all(waiter.answers == [True] for waiter in waiters)
    assert sum(bench.outcomes) == len(waiters)


def test_what_comes_after_many_of_a_tick_is_kept_at_once_and_answered_at_its_end():
    """I1: clients that get no answer yet ask nothing more, so that the tick ends; the next one is prompt again."""
    bench = Bench()
    waiters = [bench.hit(b"a") for _ in range(2 * TICK_PROMPT_HITS + 1)]
    assert len(bench.journal.records) == 2 * TICK_PROMPT_HITS
    assert [waiter.answers for waiter in waiters] == [[True]] * TICK_PROMPT_HITS + [[]] * (TICK_PROMPT_HITS + 1)
    bench.tick.end()
    assert all(waiter.answers == [True] for waiter in waiters)
    assert all(waiter.kept_when_answered > at for at, waiter in enumerate(waiters))
    assert sum(bench.outcomes) == len(waiters)
    prompt = [bench.hit(b"a") for _ in range(PROMPT_HITS + 1)]
    assert [waiter.answers for waiter in prompt] == [[True]] * PROMPT_HITS + [[]]


class Pipelining(Waiter):
    """Had sent its next hit before it was answered, which lets that one in. depth: answers given within answers."""

    depth = deepest = 0

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench.journal)
        self.bench = bench

    def committed(self, kept: bool) -> None:
        super().committed(kept)
        if len(self.answers) == 1:
            Pipelining.depth += 1
            Pipelining.deepest = max(Pipelining.deepest, Pipelining.depth)
            self.bench.group.add(self, b"a", b"", HEAD)
            Pipelining.depth -= 1


def test_answers_that_let_further_hits_in_do_not_nest_by_their_number():
    """Of a large crowd that would go deeper than Python does."""
    bench = Bench()
    waiters = [Pipelining(bench) for _ in range(3 * TICK_PROMPT_HITS)]
    for waiter in waiters:
        bench.group.add(waiter, b"a", b"", HEAD)
    while bench.tick.scheduled:
        bench.tick.end()
    assert all(waiter.answers == [True, True] for waiter in waiters)
    assert sum(bench.outcomes) == len(bench.journal.records) == 2 * len(waiters)
    assert Pipelining.deepest <= 2


def test_a_batch_is_never_split_between_frames():
    """DESIGN 5: a batch lies in one frame, all or nothing."""
    bench = Bench()
    sizes = [300, 500, 400, 500, 1]
    for size in sizes:
        bench.group.add_batch(Waiter(bench.journal), [(b"a", b"", b"%d" % size, b"{}")] * size)
    bench.tick.end()
    found = [[record.head for record in frame] for frame in bench.journal.frames]
    assert sum(len(frame) for frame in found) == sum(sizes)
    for size in (300, 400, 1):
        assert [frame.count(b"%d" % size) for frame in found if b"%d" % size in frame] == [size]
    assert all(frame.count(b"500") in (0, 500) for frame in found)


def test_the_largest_batch_and_the_fullest_group_fit_a_frame():
    """DESIGN 5: the largest fits a segment."""
    bench = Bench()
    for _ in range(GROUP_HITS_MAX - 1):
        bench.hit(b"a", b"x" * HEAD_BYTES_MAX)
    event = b"x" * EVENT_BYTES_MAX
    for _ in range(2):
        bench.group.add_batch(Waiter(bench.journal), [(b"a", b"p" * 255, b"x" * HEAD_BYTES_MAX, event)] * EVENTS_MAX)
    bench.hit(b"a")
    bench.tick.end()
    for frame in bench.journal.frames:
        assert sum(17 + 255 + 64 + len(r.head) + len(r.body or b"") for r in frame) <= PAYLOAD_BYTES_MAX
    assert bench.fatal == []


def test_a_failed_append_refuses_the_whole_tick_and_the_drops_after_it(tmp_path):
    """I2: a 503 must not tell a DROP from an ACCEPT; I4: counted as overflow, once."""
    clock = [10**9]
    bench = Bench(gate_of(lambda: clock[0], a=Verdict.ACCEPT, d=Verdict.DROP))
    bench.journal.fails = JournalFailed("append", tmp_path, OSError(5, "I/O error"))
    waiters = [bench.hit(b"a"), bench.hit(b"d")]
    bench.tick.end()
    waiters.append(bench.hit(b"d"))
    bench.tick.end()
    assert all(waiter.answers == [False] for waiter in waiters)
    assert bench.outcomes[Outcome.OVERFLOW] == sum(bench.outcomes) == 3
    clock[0] += 6 * 10**9
    late = bench.hit(b"d")
    bench.tick.end()
    assert late.answers == [True]


def test_a_bug_in_a_tick_answers_nobody_and_ends_the_process():
    bench = Bench()
    bench.journal.fails = RuntimeError("bug")
    waiter = bench.hit(b"a")
    bench.tick.end()
    assert waiter.answers == []
    assert [type(error) for error in bench.fatal] == [RuntimeError]


class SlowDisk(MemoryJournal):
    """A journal whose sync lasts until the test lets it end."""

    def __init__(self) -> None:
        super().__init__()
        self.syncs_begun = 0
        self.may_end = threading.Semaphore(0)
        self.synced = 0

    def sync(self) -> None:
        self.syncs_begun += 1
        appended = len(self.records)
        assert self.may_end.acquire(timeout=10)
        assert len(self.records) == appended, "appended while a sync was under way"
        self.synced = appended


@pytest.fixture
async def disk():
    import asyncio

    bench = Bench()
    bench.journal = SlowDisk()
    bench.group = SyncedGroup(bench.gate, bench.journal, bench.outcomes, asyncio.get_running_loop(), bench.fatal.append)
    return bench


async def test_on_disk_an_answer_waits_for_its_sync_and_the_next_group_for_that(disk):
    """DESIGN 5: group N is synced while N + 1 collects; N + 1 is written only when N's sync has returned."""
    first = disk.hit(b"a")
    await aeventually(lambda: disk.journal.syncs_begun == 1)
    second, dropped = disk.hit(b"h"), disk.hit(b"d")
    full = [disk.hit(b"a") for _ in range(GROUP_HITS_MAX)]
    assert len(disk.journal.records) == 1
    assert first.answers == second.answers == dropped.answers == []
    disk.journal.may_end.release()
    await aeventually(lambda: disk.journal.syncs_begun == 2)
    assert first.answers == [True]
    assert second.answers == dropped.answers == []
    disk.journal.may_end.release(2)
    await aeventually(lambda: full[-1].answers)
    assert disk.journal.synced == len(disk.journal.records) == GROUP_HITS_MAX + 2
    assert all(waiter.answers == [True] for waiter in (second, dropped, *full))
    assert disk.fatal == []


async def test_on_disk_a_tick_of_drops_needs_no_sync(disk):
    waiter = disk.hit(b"d")
    await aeventually(lambda: waiter.answers)
    assert disk.journal.syncs_begun == 0
