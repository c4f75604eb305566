"""The saved map: what was said before the last frame that stands comes back, whatever became of the file behind it."""

import os
import signal
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.gate import Gate
from collector.outcome import Outcome
from gating import map_file
from gating.feed import KEYS_PER_ACCOUNT_MAX, KeyState, StatusChange
from gating.map_file import PAGE_BYTES, PAYLOAD_BYTES_MAX
from gating.saved_map import COMPACT_BYTES_MIN, RETRY_NS, SavedMap
from gating.status import Status, Verdict
from tests.eventually import eventually
from tests.processes import Process


def a_change(version, account="shop", verdict=Verdict.ACCEPT, keys=None):
    states = tuple(KeyState(key) for key in (keys or [f"key-{account}"]))
    return StatusChange(version, account, 0, Status.ACTIVE, verdict, None, None, False, states)


def state(gate):
    """All that a map is: where it stands, and every entry."""
    entries = {key: entry for shard in gate.shards for key, entry in shard.items()}
    return gate.epoch, gate.version, gate.loaded, entries


NO_MAP = state(Gate())


async def loaded(path):
    gate = Gate()
    assert await SavedMap(path).load(gate) is gate.loaded
    return state(gate)


class Writer:
    """Saves as a feed does and keeps beside it what each length of the file must give back."""

    def __init__(self, path):
        self.path = path
        self.map = SavedMap(path)
        self.gate = Gate()
        self.stood = [(0, NO_MAP)]

    def do(self, step, *given):
        getattr(self, step)(*given)

    def begin(self, epoch):
        self.gate.restart(epoch)
        self.map.begin(epoch)

    def page(self, changes):
        encoded = [change.encode() for change in changes]
        self.gate.apply_page(encoded)
        self.map.page(encoded)
        self.paging = True

    def stand(self, version):
        self.gate.stand(version)
        self.map.stand(version)
        self.paging = False
        self.note()

    def change(self, change):
        self.gate.apply(change)
        if not self.paging:
            self.gate.stand(change.version)
        self.map.change(change.encode(), change.version)
        if not self.paging:
            self.note()

    def note(self):
        self.stood.append((self.path.stat().st_size, state(self.gate)))

    def at(self, size):
        """What a file must give back of which only the first `size` bytes are as they were written."""
        return [held for end, held in self.stood if end <= size][-1]


accounts = st.sampled_from(["a", "b", "c", "läden"])
changes = st.builds(a_change, st.integers(1, 50), accounts, st.sampled_from(list(Verdict)))
pages = st.tuples(st.just("page"), st.lists(changes, max_size=5))
steps = st.one_of(
    pages, st.tuples(st.just("stand"), st.integers(0, 50)), st.tuples(st.just("change"), changes)
)  # fmt: skip
lives = st.tuples(st.lists(pages, max_size=3), st.integers(0, 50), st.lists(steps, max_size=8))


def lived(path, life):
    """A file that was begun, stood and went on."""
    base, version, more = life
    writer = Writer(path)
    for step in (("begin", "epoch"), *base, ("stand", version), *more):
        writer.do(*step)
    writer.map.close()
    return writer


@pytest.fixture
def path(tmp_path):
    return tmp_path / "worker-0.map"


@given(life=lives)
async def test_a_map_comes_back_as_it_last_stood(tmp_path_factory, life):
    path = tmp_path_factory.mktemp("maps") / "worker-0.map"
    writer = lived(path, life)
    assert await loaded(path) == writer.stood[-1][1]


@settings(max_examples=150, deadline=None)
@given(life=lives, data=st.data())
async def test_a_file_that_is_cut_anywhere_gives_what_stood_before_the_cut(tmp_path_factory, life, data):
    path = tmp_path_factory.mktemp("maps") / "worker-0.map"
    writer = lived(path, life)
    size = data.draw(st.integers(0, path.stat().st_size))
    os.truncate(path, size)
    assert await loaded(path) == writer.at(size)


@settings(max_examples=250, deadline=None)
@given(life=lives, data=st.data())
async def test_a_byte_that_flips_anywhere_gives_what_stood_before_it_and_never_a_wrong_entry(
    tmp_path_factory, life, data
):
    path = tmp_path_factory.mktemp("maps") / "worker-0.map"
    writer = lived(path, life)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    assert await loaded(path) == writer.at(place)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
async def test_a_file_of_anything_is_no_map_and_no_error(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("maps") / "worker-0.map"
    path.write_bytes(content)
    assert await loaded(path) == NO_MAP


async def test_frames_that_were_moved_within_a_file_do_not_count(path):
    writer = lived(path, ([("page", [a_change(1)])], 1, []))
    content = path.read_bytes()
    path.write_bytes(content + content[content.index(b"PXM1", 4) :])
    assert await loaded(path) == writer.at(len(content))


async def test_without_a_file_there_is_no_map(path):
    assert await loaded(path) == NO_MAP


async def test_what_cannot_be_read_is_no_map_and_is_said(path, caplog):
    path.mkdir()
    assert await loaded(path) == NO_MAP
    assert "cannot be used" in caplog.text


async def test_a_map_of_changes_that_do_not_read_is_no_map_and_leaves_no_entry(path, caplog):
    """Another release's changes: intact, but not ours."""
    saved = SavedMap(path)
    saved.begin("epoch")
    saved.page([a_change(1).encode(), b'{"version":2}'])
    saved.stand(2)
    gate = Gate()
    assert not await SavedMap(path).load(gate)
    assert (len(gate), gate.version, gate.loaded) == (0, 0, False)
    assert "cannot be used" in caplog.text


async def test_a_loaded_map_is_believed_by_nobody_until_a_lease_is_granted(path):
    """DESIGN 6: a cold start is unverified; what is final drops."""
    saved = SavedMap(path)
    saved.begin("epoch")
    gone = StatusChange(2, "gone", 0, Status.DELETED, Verdict.DROP, None, None, True, (KeyState("key-gone"),))
    saved.page([a_change(1).encode(), gone.encode()])
    saved.stand(2)
    gate = Gate()
    assert await SavedMap(path).load(gate)
    assert gate.decide(b"key-shop", *gate.tick()) == (Outcome.UNVERIFIED, b"shop")
    assert gate.decide(b"key-gone", *gate.tick()) == (Outcome.DROPPED_STATUS, b"gone")


async def test_the_map_there_is_survives_until_the_new_one_stands(path):
    writer = lived(path, ([("page", [a_change(1)])], 1, []))
    saved = SavedMap(path)
    saved.begin("other")
    saved.page([a_change(1, "shop", Verdict.DROP).encode()])
    assert await loaded(path) == writer.stood[-1][1]
    saved.stand(1)
    assert (await loaded(path))[0] == "other"
    assert [one.name for one in path.parent.iterdir()] == [path.name]


async def test_what_a_dead_process_left_half_written_goes_with_the_next_begin(path):
    left = path.with_name(f"{path.name}.new-1")
    left.write_bytes(b"x")
    saved = SavedMap(path)
    saved.begin("epoch")
    assert not left.exists()
    saved.close()
    assert list(path.parent.iterdir()) == []


def test_a_map_is_its_owners_alone(path):
    """It holds write keys."""
    mask = os.umask(0)
    try:
        saved = SavedMap(path)
        saved.begin("epoch")
        saved.stand(0)
    finally:
        os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_loaded_map_is_gone_on_with_behind_its_damaged_tail(path):
    lived(path, ([("page", [a_change(1)])], 1, [("change", a_change(2, "b")), ("change", a_change(3, "c"))]))
    os.truncate(path, path.stat().st_size - 1)
    gate, saved = Gate(), SavedMap(path)
    assert await saved.load(gate)
    assert gate.version == 2
    for version in (3, 4):
        gate.apply(a_change(version, f"d{version}"))
        gate.stand(version)
        saved.change(a_change(version, f"d{version}").encode(), version)
    assert await loaded(path) == state(gate)


async def test_what_lay_behind_a_damaged_frame_does_not_come_back_when_the_file_is_gone_on_with(path):
    """A frame of the same length in the damaged one's place must not make those behind it count again."""
    writer = lived(path, ([("page", [a_change(1)])], 1, [("change", a_change(n, f"{n}")) for n in (2, 3, 4)]))
    content = bytearray(path.read_bytes())
    content[writer.stood[-3][0] - 1] ^= 1
    path.write_bytes(content)
    gate, saved = Gate(), SavedMap(path)
    assert await saved.load(gate)
    assert gate.version == 1
    other = a_change(2, "2", Verdict.HIDE)
    gate.apply_page([other.encode()])
    gate.stand(2)
    saved.change(other.encode() + b"  ", 2)  # as long as the one it replaces
    assert await loaded(path) == state(gate)


async def test_a_page_is_cut_so_that_taking_it_over_holds_no_answer_up(path):
    """Bounded batches: however many changes come at once."""
    many = [a_change(n, f"account-{n}").encode() for n in range(1, 3000)]
    payloads = list(map_file.pages(many))
    assert max(map(len, payloads)) < PAGE_BYTES + max(map(len, many))
    assert b"\n".join(payloads).split(b"\n") == many
    saved = SavedMap(path)
    saved.begin("epoch")
    saved.page(many)
    saved.stand(2999)
    epoch, version, _, entries = await loaded(path)
    assert (epoch, version, len(entries)) == ("epoch", 2999, 2999)


async def test_the_largest_account_there_can_be_fits_a_frame(path):
    keys = [f"{n:0128d}" for n in range(KEYS_PER_ACCOUNT_MAX)]
    saved = SavedMap(path)
    saved.begin("epoch")
    saved.page([a_change(1, keys=keys).encode()])
    saved.stand(1)
    saved.change(a_change(2, verdict=Verdict.HIDE, keys=keys).encode(), 2)
    _, version, _, entries = await loaded(path)
    assert (version, len(entries)) == (2, KEYS_PER_ACCOUNT_MAX)


@pytest.mark.parametrize("change", [b"x" * (PAYLOAD_BYTES_MAX + 1), b'{"version":\n1}'], ids=["too long", "two lines"])
def test_what_cannot_be_saved_stops_the_saving_and_raises_nothing(path, change, caplog):
    saved = SavedMap(path)
    saved.begin("epoch")
    saved.page([change])
    saved.stand(1)
    assert (saved.failures, path.exists()) == (1, False)
    assert "not saved" in caplog.text


def test_an_error_is_said_once_and_saving_begins_anew_when_it_is_asked_for(tmp_path, caplog):
    now = [0]
    folder = tmp_path / "maps"
    saved = SavedMap(folder / "worker-0.map", boot_ns=lambda: now[0])
    for _ in range(3):
        saved.begin("epoch")
        saved.page([a_change(1).encode()])
        saved.stand(1)
        saved.change(a_change(2).encode(), 2)
    assert (saved.failures, caplog.text.count("not saved")) == (3, 1)
    assert not saved.wants_compaction
    now[0] += RETRY_NS
    assert saved.wants_compaction
    folder.mkdir()
    saved.begin("epoch")
    saved.stand(1)
    assert (folder / "worker-0.map").exists()
    assert not saved.wants_compaction


def test_a_file_that_has_grown_by_more_than_its_base_wants_to_be_written_anew(path):
    """The file stays bounded, however long a worker follows."""
    saved = SavedMap(path)
    saved.begin("epoch")
    saved.page([a_change(1).encode()] * 100_000)
    saved.stand(1)
    base = path.stat().st_size
    assert base > COMPACT_BYTES_MIN
    change = a_change(2, keys=[f"{n:0128d}" for n in range(KEYS_PER_ACCOUNT_MAX)]).encode()
    while path.stat().st_size <= 2 * base:
        assert not saved.wants_compaction
        saved.change(change, 2)
    assert saved.wants_compaction
    saved.begin("epoch")
    saved.page([a_change(2).encode()])
    assert not saved.wants_compaction
    saved.stand(2)
    assert not saved.wants_compaction
    assert path.stat().st_size < 1000


async def test_a_killed_worker_loses_nothing_that_it_had_saved(tmp_path, path):
    """kill -9 while it appends: what was written before is there, and what is there did hold."""
    child = Process(["-m", "tests.gating.saving", str(path)], tmp_path, tmp_path / "log")
    try:
        eventually(lambda: child.popen.poll() is None and child.log.count("\n") > 300, 30)
    finally:
        child.signal(signal.SIGKILL)
        child.popen.wait()
    said = int(child.log[: child.log.rindex("\n")].split()[-1])
    epoch, version, _, entries = await loaded(path)
    assert epoch == "epoch"
    assert version >= said
    gate = Gate()
    for number in range(1, version + 1):
        gate.apply(a_change(number, f"a{number % 50}", Verdict(1 + number % 3)))
    assert entries == state(gate)[3]
