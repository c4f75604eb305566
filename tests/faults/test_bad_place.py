"""A wrong place to run in: a directory of a newer release or somebody else's, one that is in use, a port that is busy.

One clear line and no zero exit code; whatever was there is there afterwards, byte for byte, and whoever ran goes on.
"""

import os
import signal
import socket
import subprocess

import pytest

from collector.journal import journals, show
from gating.datadir import DataDirectory
from tests.eventually import eventually
from tests.faults.witness import complaint, fired, kept, processes_of, snapshot
from tests.processes import accepts, environment, free_port
from tests.system import PIXELGATE, System

MAKERS = [
    ["run", "--port", "0", "--admin-port", "0", "--workers", "1"],
    ["collector", "--port", "0", "--workers", "1"],
    ["gating", "--admin-port", "0"],
    ["consumer", "materialise"],
    ["account", "create", "--rulebook", "default"],
]
"""What makes a data directory where there is none."""
OPENERS = [
    *MAKERS,
    ["account", "list"],
    ["account", "do", "shop", "pause"],
    ["key", "list", "shop"],
    ["report", "shop"],
    ["export", "shop", "--to", "/dev/null"],
    ["tail"],
    ["verify"],
    ["explain", "/p.gif"],
]


@pytest.fixture
def system(tmp_path):
    """One worker; killed at the end, whatever came of the test."""
    system = System(tmp_path, workers=1)
    yield system
    if system.process is not None:
        system.kill()


def created(system):
    """The write key of a new account `shop`."""
    return system.json("account", "create", "--id", "shop", "--rulebook", "default")["write_key"]


def test_a_directory_of_a_newer_release_is_refused_by_all_and_left_as_it_is(system):
    created(system)
    (system.data / "VERSION").write_text("999\n")
    before = snapshot(system.data)
    for words in OPENERS:
        line = complaint(system.cli(*words, code=1).stderr)
        assert "format '999'" in line
        assert "newer release" in line
    checks = system.cli("doctor", code=1)
    assert any(line.startswith("fail") and "format '999'" in line for line in checks.stdout.splitlines())
    assert checks.stderr == ""
    assert snapshot(system.data) == before


@pytest.mark.parametrize("place", ["somebody else's", "a file", "a file's child"])
def test_what_is_no_data_directory_is_refused_by_all_and_left_as_it_is(system, tmp_path, place):
    """A command that asks finds no data directory there; one that would make it says why it does not."""
    if place == "somebody else's":
        system.data.mkdir()
        (system.data / "thesis.txt").write_text("the only copy")
    else:
        (tmp_path / "data").write_text("the only copy")
        system.data = tmp_path / "data" / ("" if place == "a file" else "below")
    before = snapshot(tmp_path / "data")
    for words in MAKERS:
        code = 3 if place == "a file's child" else 1
        assert str(system.data) in complaint(system.cli(*words, code=code).stderr)
    assert str(system.data) in complaint(system.cli("account", "list", code=3).stderr)
    assert system.cli("doctor", code=1).stderr == ""
    assert snapshot(tmp_path / "data") == before


def test_a_second_run_says_who_holds_the_directory_and_the_first_loses_nothing(system, tmp_path):
    key = created(system)
    with system.running():
        fired(system.port, key, range(50))
        second = ["run", "--port", str(free_port()), "--admin-port", str(free_port())]
        assert f"process {system.process.pid} holds the role 'run'" in complaint(system.cli(*second, code=1).stderr)
        eventually(lambda: {"gating", "consumers"} <= set(system.roles().values()))
        pids = {role: pid for pid, role in system.roles().items()}
        for words, role, process in (
            (["gating", "--admin-port", "0"], "gating", "gating"),
            (["consumer", "materialise"], "consumer", "consumers"),
        ):
            holder = f"process {pids[process]} holds the role {role!r}"
            assert holder in complaint(system.cli(*words, code=1).stderr)
        fired(system.port, key, range(50, 100))
        assert {role: pid for pid, role in system.roles().items()} == pids
        assert kept(system, "shop", tmp_path / "events") == list(range(100))
    assert system.json("verify")["ok"]
    assert processes_of(system.data) == []


def test_of_two_runs_that_start_at_once_on_nothing_one_runs_and_the_other_says_so(system, tmp_path):
    """Both may find the directory missing: it is made once, and held by one."""
    logs = [tmp_path / "first.log", tmp_path / "second.log"]
    both = [started(system, log) for log in logs]
    try:
        eventually(lambda: sum(process.poll() is not None for process in both) == 1, 60)
        (loser,) = (n for n in (0, 1) if both[n].poll() is not None)
        winner = both[1 - loser]
        assert both[loser].returncode == 1
        assert f"process {winner.pid} holds the role 'run'" in complaint(logs[loser].read_text())
        eventually(lambda: "Ctrl-C stops it" in logs[1 - loser].read_text(), 60)
        winner.send_signal(signal.SIGINT)
        assert winner.wait(60) == 0
    finally:
        for process in both:
            process.kill()
            process.wait()


def started(system, log):
    """`pixelgate run` on ports of its own."""
    with log.open("wb") as output:
        return subprocess.Popen(
            [PIXELGATE, "run", "--workers", "1", "--host", "127.0.0.1", "--port", "0", "--admin-port", "0"],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment(system.data),
        )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "option", "code"),
    [
        (["run", "--admin-port", "0", "--workers", "2"], "--port", 1),
        (["run", "--port", "0", "--workers", "2"], "--admin-port", 1),
        (["collector", "--workers", "2"], "--port", 1),
        (["gating"], "--admin-port", 3),
    ],
    ids=["run", "run-admin", "collector", "gating-admin"],
)
def test_a_busy_port_is_named_and_nothing_is_left_running(system, words, option, code):
    """The directory can be used at once afterwards, and whoever holds the port keeps it."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        host = [] if words == ["gating"] else ["--host", "127.0.0.1"]
        line = complaint(system.cli(*words, *host, option, str(port), code=code).stderr)
        assert f"port {port}" in line
        assert accepts(port)
    assert processes_of(system.data) == []
    assert created(system)


def test_the_collector_alone_does_not_mind_who_has_the_admin_port(tmp_path):
    """It listens there as little as anywhere else: gating may run beside it as a service of its own."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        system = System(tmp_path, workers=1, admin_port=holder.getsockname()[1])
        key = created(system)
        with system.running("collector"):
            fired(system.port, key, range(5))
    places = DataDirectory(system.data).journals
    heads = [record.head for info in journals(places) for record in show(places / info.id)]
    assert sum(f"/p/{key}.gif".encode() in head for head in heads) == 5


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_that_may_not_be_written_is_named(system):
    created(system)
    system.data.chmod(0o500)
    try:
        assert str(system.data) in complaint(system.cli("run", "--port", "0", "--admin-port", "0", code=3).stderr)
    finally:
        system.data.chmod(0o700)
