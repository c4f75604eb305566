"""A disk without room for one byte more: hits get 503 and are counted, those answered 200 are kept, and it passes.

Each test has a small file system of its own, which takes the right to mount: where that is missing it is skipped,
loudly, and with CI set it fails.
"""

import os
import subprocess
from contextlib import suppress

import pytest

from tests.eventually import eventually
from tests.faults.witness import Client, kept
from tests.system import System

DISK_MIB = 256
SEGMENT_BYTES = 32 * 1024**2
PAD_BYTES = 15_000  # a head has at most 16 KiB
CHUNK = b"\xff" * 1024**2


@pytest.fixture
def disk(tmp_path):
    """A mounted tmpfs of DISK_MIB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", place], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"NO FULL DISK TESTED: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


@pytest.fixture
def system(tmp_path, disk):
    """One worker whose data lies on the small disk and whose log does not; killed at the end."""
    system = System(tmp_path, workers=1, segment_bytes=SEGMENT_BYTES)
    system.data = disk / "data"
    yield system
    if system.process is not None:
        system.kill()


def fill(file):
    """Write until nothing more fits, not even a part of a block."""
    with suppress(OSError), file.open("wb", buffering=0) as ballast:
        while ballast.write(CHUNK):
            pass


def workers(system):
    return {pid for pid, role in system.roles().items() if role == "collector"}


def refuses(client, numbers):
    """Whether hits get 503 by now; the numbers go on."""
    return client.fire([next(numbers)])[0] == 503


def test_a_full_disk_costs_no_answered_hit_and_is_over_once_there_is_room(system, disk, tmp_path):
    """I1, I2, I4: never a 200 that is not journalled, a 503 for any key, and no restart to get well again."""
    key = system.json("account", "create", "--id", "shop", "--rulebook", "default")["write_key"]
    with system.running():
        system.await_whole()
        client, numbers = Client(system.port, key), iter(range(1_000_000))
        eventually(lambda: not client.ready(), 30)
        client.fire(next(numbers) for _ in range(50))
        before = workers(system)

        fill(disk / "ballast")
        eventually(lambda: refuses(client, numbers))
        status, headers, body = client.fire([next(numbers)])
        assert (status, int(dict(headers)["retry-after"]) > 0) == (503, True)
        assert client.get("/p/nobody-has-this.gif") == (status, headers, body)
        assert client.get("/p.gif") == (status, headers, body)
        assert any("100% full" in reason for reason in client.ready()), client.ready()
        answered = len(client.answered)
        client.fire(next(numbers) for _ in range(20))
        assert len(client.answered) == answered

        (disk / "ballast").unlink()
        eventually(lambda: not refuses(client, numbers))
        client.fire(next(numbers) for _ in range(50))
        eventually(lambda: not client.ready(), 30)
        assert workers(system) == before
        assert kept(system, "shop", tmp_path / "events") == client.answered
        client.close()
    summed = system.json("verify")
    assert summed["ok"], summed
    assert summed["outcomes"]["overflow"] == len(client.refused) + 2
    assert summed["kept"] == len(client.answered)


def test_without_room_for_the_next_segment_hits_are_kept_to_the_end_of_this_one(system, disk, tmp_path):
    """The next segment's space is taken half a segment ahead: readiness fails from there, hits get 503 at its end."""
    key = system.json("account", "create", "--id", "shop", "--rulebook", "default")["write_key"]
    with system.running("collector"):
        client = Client(system.port, key, {"X-Pad": "x" * PAD_BYTES})
        fill(disk / "ballast")
        os.truncate(disk / "ballast", (disk / "ballast").stat().st_size - SEGMENT_BYTES * 3 // 4)  # below 95 % full
        eventually(lambda: client.fire([len(client.answered) + len(client.refused)])[0] == 200)
        numbers = iter(range(len(client.answered) + len(client.refused), SEGMENT_BYTES // PAD_BYTES + 1000))
        while not refuses(client, numbers):
            pass
        assert len(client.answered) * (PAD_BYTES + 500) > SEGMENT_BYTES
        assert any("full" in reason for reason in client.ready()), client.ready()

        (disk / "ballast").unlink()
        eventually(lambda: not refuses(client, numbers))
        client.fire(next(numbers) for _ in range(20))
        assert kept(system, "shop", tmp_path / "events") == client.answered
        client.close()
    summed = system.json("verify")
    assert summed["ok"], summed
    assert summed["outcomes"]["overflow"] == len(client.refused)
