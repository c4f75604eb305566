"""A disk that is full, or a file that may not grow, while a worker saves its map: the worker notices nothing.

The small file system takes the right to mount: where that is missing the test is skipped, loudly, and with CI set it
fails.
"""

import os
import resource
import subprocess
from contextlib import suppress

import pytest

from collector.gate import Gate
from gating.feed import KeyState, StatusChange
from gating.saved_map import RETRY_NS, SavedMap
from gating.status import Status, Verdict

DISK_KIB = 512


@pytest.fixture
def disk(tmp_path):
    """A mounted tmpfs of DISK_KIB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_KIB}k", "tmpfs", place], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"NO FULL DISK TESTED: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


@pytest.fixture
def small_files():
    """This process may not write beyond the first 100,000 bytes of a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def a_change(version):
    keys = (KeyState(f"key-{version % 100}"),)
    return StatusChange(version, "shop", 0, Status.ACTIVE, Verdict(1 + version % 3), None, None, False, keys)


def save_until_it_fails(saved, gate, first):
    """Follow as a feed does; returns the last version that can have been saved."""
    for version in range(first, first + 100_000):
        change = a_change(version)
        saved.change(change.encode(), version)
        if saved.failures:
            return version - 1
        gate.apply(change)
        gate.stand(version)
    raise AssertionError("the disk never became full")


async def loaded(path):
    gate = Gate()
    assert await SavedMap(path).load(gate)
    return gate


def entries(gate):
    return {key: entry for shard in gate.shards for key, entry in shard.items()}


async def test_a_full_disk_ends_the_saving_with_what_stood_and_it_begins_anew_once_there_is_room(disk, caplog):
    now = [0]
    path = disk / "worker-0.map"
    saved, gate = SavedMap(path, boot_ns=lambda: now[0]), Gate()
    saved.begin("epoch")
    saved.stand(0)
    gate.restart("epoch")
    with suppress(OSError), (disk / "ballast").open("wb", buffering=0) as ballast:
        ballast.write(b"\xff" * (DISK_KIB * 1024 - 100_000))
    last = save_until_it_fails(saved, gate, 1)
    for version in range(last + 1, last + 100):
        saved.change(a_change(version).encode(), version)
    found = await loaded(path)
    assert (found.version, entries(found)) == (last, entries(gate))
    assert (saved.failures, caplog.text.count("not saved")) == (1, 1)

    now[0] += RETRY_NS
    assert saved.wants_compaction
    saved.begin("epoch")  # still no room for all of it
    saved.page([a_change(version).encode() for version in range(1, 5000)])
    saved.stand(5000)
    assert (await loaded(path)).version == last
    assert [one.name for one in disk.iterdir() if one.name != "ballast"] == [path.name]

    (disk / "ballast").unlink()
    now[0] += RETRY_NS
    assert saved.wants_compaction
    saved.begin("epoch")
    saved.stand(last + 1)
    saved.change(a_change(last + 2).encode(), last + 2)
    assert (await loaded(path)).version == last + 2


async def test_a_file_that_may_not_grow_ends_the_saving_with_what_stood(tmp_path, small_files):
    path = tmp_path / "worker-0.map"
    saved, gate = SavedMap(path), Gate()
    saved.begin("epoch")
    saved.stand(0)
    gate.restart("epoch")
    last = save_until_it_fails(saved, gate, 1)
    found = await loaded(path)
    assert (found.version, entries(found)) == (last, entries(gate))
