"""locust itself, as its users start it: on a real system, over several processes, and on servers that are wrong.

Each run is a process: importing locust patches the standard library for the whole of the one that does it.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from loadtest.__main__ import main, seconds
from loadtest.bench.cpu import tree
from loadtest.peers.wire import GIF
from tests.eventually import eventually
from tests.processes import ROOT, free_port
from tests.system import System

LOCUSTFILE = ROOT / "loadtest" / "locustfile.py"
RUN_SECONDS = 110
OWN = ("LOCUST_", "LOADTEST_")
"""How the environment's variables begin that would steer a run."""


def locust(report: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OWN)}
    argv = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--only-summary"]
    return subprocess.run(
        [*argv, "--report", str(report), *arguments], cwd=report.parent, env={**kept, **environment},
        capture_output=True, text=True, timeout=RUN_SECONDS, check=False,
    )  # fmt: skip


def told(report: Path, done: subprocess.CompletedProcess[str]):
    """The run's document; fails with what locust said where there is none."""
    assert report.with_suffix(".json").exists(), done.stdout + done.stderr
    return json.loads(report.with_suffix(".json").read_text())


def states(document):
    return {one["name"]: one["state"] for one in document["checks"]}


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    with tempfile.TemporaryDirectory(prefix="loadtest-") as name:  # a Unix address has 107 bytes
        running = System(Path(name), workers=2)
        with running.running():
            running.await_whole()
            yield running


def test_a_flip_storm_on_a_real_system_passes_with_every_check_made(system, tmp_path):
    """I2, I4, I5, from outside; flips go by the data directory's socket."""
    report = tmp_path / "storm.html"
    done = locust(
        report, "--shape", "flip_storm", "--run-time", "3s", "--users", "10", "--rate", "100",
        "--host", f"http://127.0.0.1:{system.port}", "--data", str(system.data),
        "--admin", f"http://127.0.0.1:{system.admin_port}",
    )  # fmt: skip
    document = told(report, done)
    assert (done.returncode, document["verdict"]) == (0, "PASS"), document["checks"]
    assert set(states(document).values()) == {"passed"}
    assert document["flips"]["returned"] > 5
    assert document["outcomes"]["hidden"] > 0
    assert document["cpu_us_a_hit"]["collector"] > 0
    assert done.stdout.splitlines()[-1].startswith("PASS")
    assert "FLIP     pause: commit to enforced" in done.stderr  # locust logs its tables
    assert report.read_text().startswith("<!doctype html>")


def test_a_master_and_two_workers_flip_accounts_of_their_own_by_the_admin_port(system, tmp_path):
    """The token goes with locust's messages; each worker's tally comes back."""
    report, port = tmp_path / "storm.html", str(free_port())
    token = system.json("token", "create", "--role", "operator")["token"]
    done = locust(
        report, "--shape", "flip_storm", "--run-time", "3s", "--users", "10", "--rate", "100", "--processes", "2",
        "--master-bind-port", port, "--master-port", port, "--host", f"http://127.0.0.1:{system.port}",
        "--admin", f"http://127.0.0.1:{system.admin_port}", LOADTEST_TOKEN=token, LOADTEST_DATA=str(system.data),
    )  # fmt: skip
    document = told(report, done)
    assert (done.returncode, document["verdict"]) == (0, "PASS"), document["checks"]
    assert document["settings"]["processes of the load"] == "2"
    assert states(document)["hits enforced under a replaced status: 0"] == "passed"
    assert document["flips"]["returned"] > 5
    assert token not in report.read_text() + report.with_suffix(".json").read_text() + done.stdout + done.stderr


def test_one_command_starts_a_system_loads_it_with_garbage_and_leaves_nothing(tmp_path, capsys):
    arguments = ["bots_and_garbage", "--duration", "2s", "--users", "10", "--rate", "50", "--to", str(tmp_path)]
    assert main(arguments) == 0, (tmp_path / "bots_and_garbage.log").read_text()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6  # where the log is, and the five
    assert lines[-1].startswith("PASS")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"bots_and_garbage.{end}" for end in ("html", "json", "log")
    ]
    assert json.loads((tmp_path / "bots_and_garbage.json").read_text())["malformed"] > 0


def begun(folder: Path, shape: str = "steady") -> "subprocess.Popen[str]":
    """`python -m loadtest` for an hour."""
    argv = [sys.executable, "-m", "loadtest", shape, "--duration", "1h", "--users", "5", "--rate", "50"]
    return subprocess.Popen(
        [*argv, "--to", str(folder)], cwd=ROOT, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def gone(pids: Iterable[int]) -> bool:
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_a_run_ended_by_sigterm_lets_users_go_reckons_and_leaves_no_process(tmp_path):
    run = begun(tmp_path)
    log = tmp_path / "steady.log"
    eventually(lambda: log.exists() and b"All users spawned" in log.read_bytes(), RUN_SECONDS)
    started = tree(run.pid)
    assert len(started) > 5  # itself, pixelgate run and its roles, locust
    run.terminate()
    out, err = run.communicate(timeout=RUN_SECONDS)
    assert (run.returncode, err) == (0, ""), log.read_text()
    assert out.splitlines()[-1].startswith("PASS")
    assert gone(started)


def test_a_run_ended_while_its_system_starts_leaves_no_process(tmp_path):
    run = begun(tmp_path)
    eventually(lambda: len(tree(run.pid)) > 1, RUN_SECONDS)
    started = tree(run.pid)
    run.terminate()
    run.terminate()  # as `timeout make loadtest` does
    _, err = run.communicate(timeout=RUN_SECONDS)
    assert (run.returncode, err) == (130, "loadtest: ended before its time\n")
    assert gone(started)


@contextlib.contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """A server that has one answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


BRIEF = ("--run-time", "1s", "--users", "3", "--rate", "30", "--write-keys", "k1,k2")


@pytest.mark.parametrize(
    ("status", "body", "code", "verdict"), [(200, GIF, 0, "PASS"), (503, b"", 1, "FAIL"), (200, GIF[:-1], 1, "FAIL")]
)
def test_without_a_look_inside_answers_alone_are_judged_and_the_rest_is_told(tmp_path, status, body, code, verdict):
    report = tmp_path / "steady.html"
    with answering(status, body) as host:
        done = locust(report, *BRIEF, "--host", host)
    document = told(report, done)
    assert (done.returncode, document["verdict"]) == (code, verdict), done.stdout + done.stderr
    assert states(document)["answered = counted"] == states(document)["kept = in the warehouse"] == "not made"
    assert "  not made: answered = counted: no admin port is known (--admin)" in done.stdout.splitlines()
    assert ("failed: every request is answered as promised" in done.stdout) == (code == 1)


def test_a_collector_that_is_not_there_fails_the_run(tmp_path):
    report = tmp_path / "steady.html"
    done = locust(report, *BRIEF, "--host", f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert states(told(report, done))["sent = answered"] == "failed"


CANNOT = [
    ("no collector", [], "needs --host"),
    ("no way to make accounts", ["--host", "http://127.0.0.1:1"], "or give --write-keys"),
    ("no such directory", ["--host", "http://127.0.0.1:1", "--data", "/nowhere"], "/nowhere: there is no such"),
    ("no rate", ["--host", "http://127.0.0.1:1", "--rate", "-5"], "got 50 users, 50 accounts, -5 hits a second"),
    ("a user class left out", ["--host", "http://127.0.0.1:1", "Bot"], "steady is played by Visitor too"),
    ("no keys", ["--host", "http://127.0.0.1:1", "--shape", "million_keys"], "needs --write-keys FILE"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "word"), [row[1:] for row in CANNOT], ids=[row[0] for row in CANNOT])
def test_a_run_that_cannot_begin_says_what_it_lacks_and_exits_2(tmp_path, arguments, word):
    done = locust(tmp_path / "x.html", "--run-time", "1s", *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert word in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("text", "found"), [("90", 90), ("90s", 90), ("2m", 120), ("1h", 3600)])
def test_a_duration_is_read_as_locust_reads_it(text, found):
    assert seconds(text) == found


@pytest.mark.parametrize("text", ["", "0", "s", "1d", "-5s"])
def test_a_duration_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        seconds(text)
