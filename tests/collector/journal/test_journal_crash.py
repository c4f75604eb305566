"""Real deaths and real disks: kill -9, a file system without room, a disk that fails to sync or to read.

Nothing is patched: the kernel refuses, or strace makes a system call of a real process fail.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from collector.errors import JournalFailed, JournalFull
from collector.journal import Journal, JournalReader, check, recover, segment_name
from tests.collector.journal.child import SYNC_FAILED_EXIT
from tests.collector.journal.kit import append, drain, hit, write_journal
from tests.eventually import eventually

CHILD = [sys.executable, "-m", "tests.collector.journal.child"]
DISK_BYTES = 1024**2
SEGMENT_BYTES = 64 * 1024


def needs(condition: bool, what: str) -> None:
    """Skip where the machine does not let us; where CI is set, that is a failure."""
    if not condition:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"needs {what}")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=700", "pixelgate-test", str(disk)]
    mounted = shutil.which("mount") and subprocess.run(mount, check=False, capture_output=True).returncode == 0
    needs(bool(mounted), "the right to mount a tmpfs")
    (disk / "journals").mkdir()
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill_up(disk: Path, free_bytes: int = 0) -> Path:
    """Take all of the disk but so much."""
    ballast = disk / "ballast"
    state = os.statvfs(disk)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, state.f_bavail * state.f_bsize - free_bytes)
    return ballast


@pytest.mark.parametrize("durability", ["process", "disk"])
@pytest.mark.parametrize("deaths", [6])
def test_kill_9_at_any_moment_loses_nothing_that_was_answered(tmp_path, durability, deaths):
    """I1: a real worker process, killed while it appends, rotates or prepares."""
    (tmp_path / "journals").mkdir()
    chance = random.Random(durability)
    for _ in range(deaths):
        command = [*CHILD, tmp_path / "journals", chance.choice(["1024", "4096", "65536"]), "0", durability]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
            assert child.stdout
            path = tmp_path / "journals" / child.stdout.readline().decode().strip()
            for _ in range(chance.randrange(200)):
                child.stdout.readline()
            child.send_signal(signal.SIGKILL)
            answered = child.stdout.read().decode().rpartition("\n")[0].splitlines()
        with closing(JournalReader(path, tmp_path / "quarantine")) as reader:
            batches = [reader.read(10**9), reader.read()]
            assert batches[1].ended
        records = batches[0].records
        assert records == [hit(sequence) for sequence in range(1, len(records) + 1)]
        assert len(records) >= int(answered[-1] if answered else 0)
        recovery = recover(path, tmp_path / "quarantine")
        assert (recovery.missing, recovery.corruptions, recovery.records) == ((), (), len(records))


def test_on_a_full_disk_append_refuses_and_goes_on_once_there_is_room(small_disk, tmp_path):
    journal = Journal.create(small_disk / "journals", segment_bytes=SEGMENT_BYTES)
    ballast = fill_up(small_disk)
    for _ in range(13):  # all that the segment at hand takes
        append(journal, 50)
    with pytest.raises(JournalFull, match="No space left"):
        append(journal, 50)
    assert not journal.ready
    ballast.unlink()
    assert append(journal, 50) == 651
    assert journal.ready
    journal.close()
    assert drain(journal.path, tmp_path / "quarantine").sequences == list(range(1, 701))


def test_space_lost_beneath_a_segment_costs_the_group_and_nothing_else(small_disk, tmp_path):
    """The write() itself meets ENOSPC, after it took the pages that were left."""
    journal = Journal.create(small_disk / "journals", segment_bytes=SEGMENT_BYTES)
    append(journal, 50)
    os.truncate(journal.path / segment_name(1), journal._offset)
    ballast = fill_up(small_disk, free_bytes=8192)
    for _ in range(3):
        with pytest.raises(JournalFull, match="no room to append"):
            append(journal, 400)
    assert check(journal.path).records == 50
    assert append(journal, 10) == 51, "a group that fits is kept"
    ballast.unlink()
    assert append(journal, 400) == 61
    journal.close()
    found = drain(journal.path, tmp_path / "quarantine")
    assert (found.sequences, found.missing, found.torn_bytes) == (list(range(1, 461)), [], 0)


@pytest.mark.parametrize(("percent", "ready", "room"), [(50, True, True), (90, False, True), (97, False, False)])
def test_readiness_fails_at_85_percent_and_appends_at_95(small_disk, percent, ready, room):
    journal = Journal.create(small_disk / "journals", segment_bytes=SEGMENT_BYTES)
    ballast = fill_up(small_disk, free_bytes=DISK_BYTES * (100 - percent) // 100)
    journal.check_disk()
    assert (journal.ready, journal.room) == (ready, room)
    if not room:
        with pytest.raises(JournalFull, match="95% on"):
            append(journal, 1)
    ballast.unlink()
    journal.check_disk()
    assert append(journal, 1) == 1
    journal.close()


def test_on_a_full_disk_a_reader_commits_nothing_keeps_everything_and_goes_on_later(small_disk):
    path, _ = write_journal(small_disk / "journals", [2] * 11)
    content = bytearray((path / segment_name(1)).read_bytes())
    content[400] ^= 1
    (path / segment_name(1)).write_bytes(content)
    with closing(JournalReader(path, small_disk / "quarantine")) as reader:
        batch = reader.read()
        ballast = fill_up(small_disk)
        with pytest.raises(JournalFailed, match="No space left"):
            reader.commit(batch.next_sequence)
        assert (check(path).cursor, check(path).records) == (1, 20)
        ballast.unlink()
        reader.commit(batch.next_sequence)
        assert reader.read().ended
        reader.remove()
    assert os.listdir(small_disk / "quarantine") == [f"{path.name}-{segment_name(1)}"]


def test_a_failed_sync_is_never_answered_and_ends_the_worker(tmp_path):
    """DESIGN 5: after a failed fdatasync nothing that was written is sure, and a second one proves nothing."""
    needs(can_inject(), "strace that may trace")
    (tmp_path / "journals").mkdir()
    inject = ["strace", "-f", "-qq", "-o", os.devnull, "-e", "inject=fdatasync:error=EIO:when=3+"]
    command = [*inject, *CHILD, tmp_path / "journals", "65536", "0", "disk"]
    ended = subprocess.run(command, stdout=subprocess.PIPE, check=False, timeout=60)
    assert ended.returncode == SYNC_FAILED_EXIT
    assert ended.stdout.decode().split()[1:] == ["1", "3"], "two groups were synced and answered"


def test_at_durability_disk_no_hit_is_answered_before_its_bytes_and_its_segment_s_name_are_durable(tmp_path):
    """I1: told from the system calls of a real worker, rotations included."""
    needs(can_inject(), "strace that may trace")
    (tmp_path / "journals").mkdir()
    calls = [
        "strace",
        "-y",
        "-qq",
        "-o",
        tmp_path / "calls",
        "-e",
        "trace=pwrite64,fdatasync,fsync,renameat,renameat2,write",
    ]
    subprocess.run([*calls, *CHILD, tmp_path / "journals", "2048", "60", "disk"], stdout=subprocess.PIPE, check=True)
    unsynced, answers, rotations = set(), 0, 0
    for line in (tmp_path / "calls").read_text().splitlines():
        name, _, arguments = line.partition("(")
        if name == "pwrite64":
            unsynced.add("bytes")
        elif name.startswith("renameat"):
            unsynced.add("name")
            rotations += 1
        elif name == "fdatasync":
            unsynced.discard("bytes")
        elif name == "fsync" and ".segment" not in arguments and "spare" not in arguments:
            unsynced.discard("name")
        elif name == "write" and arguments.startswith("1<"):
            assert not unsynced or not answers, f"answered before {unsynced} was durable: {line}"
            answers += 1
    assert answers > 20
    assert rotations > 3


def test_a_rotation_at_durability_disk_leaves_nothing_unsynced_behind(tmp_path):
    needs(can_inject(), "strace that may trace")
    script = """if True:
        import sys
        from pathlib import Path
        from collector.errors import JournalSyncFailed
        from collector.journal import Durability, Journal
        from tests.collector.journal.kit import append
        journal = Journal.create(Path(sys.argv[1]), Durability.DISK, segment_bytes=1024)
        try:
            while True:
                print(append(journal, 3))
        except JournalSyncFailed:
            print("synced")
        """
    inject = ["strace", "-f", "-qq", "-o", os.devnull, "-e", "inject=fdatasync:error=EIO"]
    ended = subprocess.run(
        [*inject, sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE, check=True, timeout=60
    )
    assert ended.stdout.decode().split() == ["1", "4", "synced"]


def test_after_a_failed_sync_nothing_is_appended_any_more(tmp_path):
    needs(can_inject(), "strace that may trace")
    script = """if True:
        import sys
        from pathlib import Path
        from collector.errors import JournalSyncFailed
        from collector.journal import Durability, Journal
        from tests.collector.journal.kit import append
        journal = Journal.create(Path(sys.argv[1]), Durability.DISK)
        append(journal, 1)
        for step in (journal.sync, journal.sync, lambda: append(journal, 1)):
            try:
                step()
                print("went on")
            except JournalSyncFailed as error:
                print("must exit" in str(error), journal.ready)
        """
    inject = ["strace", "-f", "-qq", "-o", os.devnull, "-e", "inject=fdatasync:error=EIO:when=1"]
    command = [*inject, sys.executable, "-c", script, tmp_path]
    ended = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=60)
    assert ended.stdout.decode().splitlines() == ["True False"] * 3


@pytest.mark.parametrize(("reads", "lost"), [("2", False), ("2+", True)], ids=["once", "for ever"])
def test_what_the_disk_cannot_read_is_damage_like_any_other(tmp_path, reads, lost):
    """Recovery never refuses to start: EIO costs the blocks it befalls, and a read that works later costs nothing."""
    needs(can_inject(), "strace that may trace")
    path, placed = write_journal(tmp_path / "journals", [2] * 300, segment_bytes=SEGMENT_BYTES // 2)
    script = "import json, sys; from pathlib import Path; from collector.journal import check\n"
    script += "print(json.dumps(check(Path(sys.argv[1])).to_json()))"
    inject = [
        "strace",
        "-qq",
        "-o",
        os.devnull,
        "-P",
        path / segment_name(1),
        "-e",
        f"inject=pread64:error=EIO:when={reads}",
    ]
    ended = subprocess.run(
        [*inject, sys.executable, "-c", script, path], stdout=subprocess.PIPE, check=True, timeout=60
    )
    found = json.loads(ended.stdout)
    second = min(frame.sequences[0] for frame in placed if frame.segment != segment_name(1))
    assert found["missing"] == ([[1, second - 1]] if lost else [])
    assert found["records"] == (601 - second if lost else 600)


def test_a_worker_that_is_stopped_in_mid_flight_is_not_yet_and_not_the_end(tmp_path):
    (tmp_path / "journals").mkdir()
    with subprocess.Popen([*CHILD, tmp_path / "journals", "65536", "0"], stdout=subprocess.PIPE) as child:
        assert child.stdout
        path = tmp_path / "journals" / child.stdout.readline().decode().strip()
        child.send_signal(signal.SIGSTOP)
        with closing(JournalReader(path, tmp_path / "quarantine")) as reader:
            eventually(lambda: not reader.read(10**9).records)
            assert not reader.read().ended
            child.kill()
            eventually(lambda: reader.read(10**9).ended)


def can_inject() -> bool:
    if not shutil.which("strace"):
        return False
    probe = ["strace", "-qq", "-o", os.devnull, "-e", "inject=fdatasync:error=EIO", "true"]
    return subprocess.run(probe, check=False, capture_output=True).returncode == 0
