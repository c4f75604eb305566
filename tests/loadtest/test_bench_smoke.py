"""The benchmark from end to end on real servers, for a second: whoever lacks wrk or nginx sees these skipped."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from loadtest.bench import keys, webhooks
from loadtest.bench.__main__ import main
from loadtest.bench.cpu import Cores
from loadtest.bench.rounds import Plan, play
from loadtest.peers.nginx import NginxLua
from loadtest.peers.server import KEEP_ALIVE, Place, Running, Server, ServerFailed, ask, is_whole

needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
needs_lua = pytest.mark.skipif(NginxLua(()).missing() is not None, reason=str(NginxLua(()).missing()))
BRIEF = ("--rounds", "1", "--looks", "2", "--connections", "8", "--flips", "0")


@needs_wrk
@needs_lua
def test_a_run_measures_both_scenarios_and_counts_what_nginx_kept(tmp_path):
    only = ("--only", "c-epoll", "uvloop", "nginx-lua", "--scenario", "new-connection")
    assert main([*BRIEF, *only, "--to", str(tmp_path / "out"), "--work", str(tmp_path)]) == 0
    whole = json.loads((tmp_path / "out" / "results.json").read_text())
    assert {one["server"] for one in whole["looks"]} == {"c-epoll", "uvloop", "nginx-lua"}
    assert {(one["round"], one["number"]) for one in whole["looks"]} == {(1, 1), (1, 2)}
    assert all(one["faults"] == [] and one["answered"] > 0 and one["cpu_seconds"] > 0 for one in whole["looks"])
    assert all(0 <= one["others"] <= (os.cpu_count() or 1) + 0.1 for one in whole["looks"])
    kept = next(one["kept"] for one in whole["looks"] if one["server"] == "nginx-lua")
    assert kept["answered"] <= kept["kept"] <= kept["sent"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]  # nothing is left of the work


@needs_wrk
def test_strict_fails_a_run_that_did_not_measure_every_bar(tmp_path):
    only = ("--only", "uvloop", "--scenario", "keep-alive", "--strict")
    assert main([*BRIEF, *only, "--to", str(tmp_path), "--work", str(tmp_path)]) == 1


@needs_wrk
def test_what_keys_cost_is_measured_from_a_ledger_made_in_bulk(monkeypatch):
    """Ledgers in a folder that is named from here, as it is unless another is given."""
    with tempfile.TemporaryDirectory(
        prefix="bench-"
    ) as name:  # a Unix address has 107 bytes: pytest's folders lie deep
        monkeypatch.chdir(name)
        _measures_keys(Path())


def _measures_keys(folder):
    brief = ("--few", "5", "--many", "700", "--starts", "1", "--rounds", "1", "--looks", "1", "--connections", "8")
    assert keys.main([*brief, "--ledgers", str(folder / "ledgers"), "--to", str(folder / "out")]) == 0
    text = (folder / "out" / "keys.md").read_text()
    assert "| 700 |" in text
    assert "not measured" not in text
    assert sorted(path.name for path in (folder / "ledgers").iterdir()) == ["bulk-5", "bulk-700"]


class Answering(Server):
    """A server of this process that answers one fixed thing, or does not start."""

    name = "answering"
    job = "for tests"

    def __init__(self, answer):
        super().__init__(["key"])
        self.answer = answer

    def version(self):
        return "1"

    def start(self, place):
        if self.answer is None:
            raise ServerFailed("no port")
        listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.serve, args=(listener,), daemon=True).start()
        idle = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)
        return Running(idle, listener.getsockname()[1], place.folder / "words")

    def serve(self, listener):
        connection, _ = listener.accept()
        with connection, listener:
            connection.recv(65536)
            connection.sendall(self.answer)


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (None, "no port"),
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", "expected 200"),
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 43\r\n\r\nGIF89a" + bytes(37), "expected 200"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "expected 200"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 43\r\n\r\nGIF89a", "expected 200"),
    ],
)
def test_a_server_that_does_not_start_or_answers_otherwise_makes_its_round_void(tmp_path, answer, word):
    """A broken peer costs its own row, never the run."""
    plan = Plan(rounds=2, looks=1, seconds=1, warmup_seconds=1, connections=1, seed=1)
    played = list(play([Answering(answer)], [KEEP_ALIVE], plan, Cores.of_this_machine(), tmp_path))
    assert [one.round for one in played] == [1, 2]
    assert all(word in one.faults[0] for one in played)
    assert list(tmp_path.glob("turn-*")) == []


@pytest.mark.parametrize(
    ("answered", "whole"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n", False),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nh", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", True),
    ],
)
def test_an_answer_is_whole_with_its_last_byte(answered, whole):
    assert is_whole(answered) is whole


def test_asking_reads_the_whole_answer_and_tells_its_size(tmp_path):
    body = b"GIF89a" + bytes(37)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 43\r\n\r\n" + body
    running = Answering(answer).start(Place(tmp_path, KEEP_ALIVE, Cores.of_this_machine()))
    try:
        assert ask(running.port, b"GET / HTTP/1.1\r\n\r\n") == len(answer)
    finally:
        running.stop()


def test_webhooks_are_stored_and_flips_timed_beside_them():
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        brief = ("--seconds", "1", "--connections", "8", "--engines", "sqlite", "--paces", "50", "--accounts", "3")
        assert webhooks.main([*brief, "--to", str(Path(name) / "out")]) == 0
        (leg,) = json.loads((Path(name) / "out" / "webhooks.json").read_text())["legs"]
    assert leg["faults"] == []
    assert leg["stored"] == leg["answered"] > 0
    assert leg["flips"] > 0
