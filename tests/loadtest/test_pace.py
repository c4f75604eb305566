"""pace: its schedule waits for no answer, so a stall is seen by every hit of it; what it cannot do it says."""

import contextlib
import json
import shutil
import socket
import subprocess
import threading
import time

import pytest

from loadtest.bench.pace import Pace, PaceFailed, compile_pace, faults_of, parse
from loadtest.peers.wire import answer

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
FIRST, SECOND = b"GET /p/a.gif HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /p/b.gif?n=2 HTTP/1.1\r\nHost: x\r\n\r\n"
ANSWER = answer(close=False)
STALL_SECONDS = 0.1


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    return compile_pace(tmp_path_factory.mktemp("pace"))


@pytest.fixture
def heads(tmp_path):
    path = tmp_path / "heads"
    path.write_bytes(FIRST + SECOND)
    return path


class Answering:
    """One thread a connection, each answering whole heads by `answer_of(number)`, counted over all connections."""

    def __init__(self, answer_of):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.answer_of = answer_of
        self.seen = []
        self.lock = threading.Lock()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection, contextlib.suppress(ConnectionResetError):
            while head := connection.recv(65536):
                with self.lock:  # one at a time: a stall is everybody's
                    self.seen.append(head)
                    told = self.answer_of(len(self.seen))
                if told is None:
                    return
                connection.sendall(told)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


def stalling(at):
    def answer_of(number):
        if number == at:
            time.sleep(STALL_SECONDS)  # the fault that is injected, not a synchronisation
        return ANSWER

    return answer_of


def test_a_stall_is_seen_by_every_hit_that_was_due_in_it_not_by_those_that_were_open(program, heads):
    """No coordinated omission: with 4 connections a loader that waits for answers would have seen 4 slow hits."""
    rate = 1000
    with Answering(stalling(700)) as server:
        paced = Pace(program, None, 4).run(server.port, heads, rate, seconds=1, warmup=0.5)
    assert paced.answered == paced.due == rate
    assert paced.errors == paced.wrong == 0
    assert paced.bytes == paced.answered * len(ANSWER)
    # Due at even distances within the stall, they wait for the rest of it: nine tenths of them for more than 10 ms.
    assert paced.over["10ms"] >= rate * STALL_SECONDS * 0.85
    assert paced.latency_us["max"] >= STALL_SECONDS * 1e6 * 0.99
    assert paced.waited >= rate * STALL_SECONDS * 0.85


def test_heads_go_out_whole_and_in_the_files_order(program, heads):
    with Answering(lambda _: ANSWER) as server:
        paced = Pace(program, None, 1).run(server.port, heads, 100, seconds=0.2, warmup=0)
    assert len(server.seen) == paced.sent == paced.sent_in_all == 20
    assert server.seen == [FIRST, SECOND] * 10


def test_a_warm_up_is_sent_and_not_measured(program, heads):
    with Answering(lambda _: ANSWER) as server:
        paced = Pace(program, None, 2).run(server.port, heads, 200, seconds=0.5, warmup=0.5)
    assert (paced.due, paced.sent_in_all, paced.answered_in_all) == (100, 200, 200)


def test_poisson_gaps_come_again_with_their_seed_and_differ_with_another(program, heads):
    with Answering(lambda _: ANSWER) as server:
        dues = [
            Pace(program, None, 2, seed).run(server.port, heads, 500, seconds=0.5, warmup=0, poisson=True).due
            for seed in (7, 7, 8, 9)
        ]
    assert dues[0] == dues[1]
    assert len(set(dues)) > 1
    assert all(150 < due < 350 for due in dues)


@pytest.mark.parametrize(
    "wrong",
    [
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 43\r\n\r\nGIF89a" + bytes(37),
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 43\r\n\r\n" + bytes(43),
    ],
)
def test_an_answer_that_is_no_200_with_the_gif_is_wrong_and_makes_the_round_void(program, heads, wrong):
    with Answering(lambda number: wrong if number == 15 else ANSWER) as server:
        paced = Pace(program, None, 1).run(server.port, heads, 100, seconds=0.2, warmup=0)
    assert (paced.wrong, paced.answered) == (1, 20)
    assert any("no 200 with the GIF" in fault for fault in faults_of(paced, len(ANSWER)))


@pytest.mark.parametrize(
    "broken", [None, b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 5000, ANSWER + ANSWER], ids=["end", "no length", "huge", "two"]
)
def test_a_connection_that_fails_is_an_error_and_what_was_due_on_it_is_missed(program, heads, broken):
    with Answering(lambda number: broken if number == 10 else ANSWER) as server:
        paced = Pace(program, None, 2).run(server.port, heads, 100, seconds=0.3, warmup=0)
    assert paced.errors == 1
    assert paced.answered < paced.due == 30
    faults = faults_of(paced, len(ANSWER))
    assert "1 connections failed" in faults
    assert any("hits that were due were answered" in fault for fault in faults)


def test_a_loader_that_was_late_by_itself_makes_the_round_void(program, heads):
    with Answering(lambda _: ANSWER) as server:
        paced = Pace(program, None, 1).run(server.port, heads, 100, seconds=0.2, warmup=0)
    told = {**{name: getattr(paced, name) for name in paced.__slots__}, "late_us": {"99": 20.0, "99.9": 60.0}}
    assert faults_of(parse(json.dumps(told)), len(ANSWER)) == []
    told["late_us"] = {"99": 20.0, "99.9": 9000.0}
    assert ["late" in fault for fault in faults_of(parse(json.dumps(told)), len(ANSWER))] == [True]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--port=0"], "--port"),
        (["--port=9", "--rate=0"], "--rate"),
        (["--port=9", "--connections=0"], "--connections"),
        (["--port=9", "--seconds=-1"], "--seconds"),
        (["--port=9"], "--file"),
        (["--port=9", "--file=/dev/null"], "not request heads"),
        (["--port=9", "--file=/nowhere"], "No such file"),
        (["--port=9", f"--file={__file__}"], "not request heads"),
    ],
)
def test_bad_options_are_refused_in_one_line(program, arguments, word):
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=10)
    assert done.returncode == 1
    assert word in done.stderr
    assert done.stderr.count("\n") == 1


def test_nobody_listening_is_said(program, heads):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(PaceFailed, match="Connection refused"):
        Pace(program, None, 1).run(port, heads, 100, seconds=0.2, warmup=0)


@pytest.mark.parametrize("output", ["", "{}", "[1]", '{"rate":1,"curve":[]}'])
def test_a_line_that_does_not_read_is_a_failure(output):
    with pytest.raises(PaceFailed):
        parse(output)
