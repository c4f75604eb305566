"""`pixelgate run` whole: what it prints, how it stops, what happens when parts of it die."""

import http.client
import os
import re
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from collector.metrics import read_counters
from tests.deploy.console import Console, Ran
from tests.deploy.workers import alive
from tests.eventually import eventually
from tests.processes import environment, free_port

START_SECONDS = 60.0  # two cores, shared with whatever else runs there


class Run:
    """A running `pixelgate run`; `output` is what it has printed so far."""

    def __init__(self, pixelgate: Console, log: Path, port: int, *more: str) -> None:
        self.pixelgate, self.log, self.port = pixelgate, log, port
        arguments = ["run", "--host", "127.0.0.1", "--port", str(port), "--admin-port", "0", *more]
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [pixelgate.script, *arguments],
                env=environment(pixelgate.data),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        eventually(lambda: "Ctrl-C" in self.output or self.process.poll() is not None, START_SECONDS)
        assert self.process.poll() is None, self.output

    @property
    def output(self) -> str:
        return self.log.read_text()

    @property
    def write_key(self) -> str:
        found = re.findall(r'<img src="http://127.0.0.1:\d+/p/([^"]+)\.gif"', self.output)
        return str(found[-1])

    @property
    def roles(self) -> list[int]:
        """The process ids of its children."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    def fire(self, hits: int) -> int:
        """Fire hits, each on a connection of its own; returns how many were answered with the pixel."""
        answered = 0
        for _ in range(hits):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
            try:
                connection.request("GET", f"/p/{self.write_key}.gif")
                answered += connection.getresponse().read(6) == b"GIF89a"
            except (OSError, http.client.HTTPException):
                pass  # the worker was killed with the connection in hand: no answer, no promise
            finally:
                connection.close()
        return answered

    def interrupt(self) -> int:
        """Ctrl-C; returns the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(START_SECONDS)


@contextmanager
def running(pixelgate: Console, log: Path, port: int, *more: str) -> Iterator[Run]:
    run = Run(pixelgate, log, port, *more)
    try:
        yield run
    finally:
        if run.process.poll() is None:
            run.process.kill()
            run.process.wait()


def is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def visible(ran: Ran) -> int:
    return int(ran.json["events"]["visible"])


def test_a_run_takes_hits_and_stops_cleanly_and_the_next_one_goes_on_with_the_same_data(
    pixelgate: Console, tmp_path: Path
) -> None:
    """Ctrl-C: nothing lost, ports free, exit 0."""
    port = free_port()
    with running(pixelgate, tmp_path / "first", port, "--workers", "2") as run:
        key = run.write_key
        assert run.fire(20) == 20
        eventually(lambda: "accepted 20" in run.output)
        assert re.search(r"hits/s   accepted 20   hidden 0   dropped 0   CPU [\d.]+ us/hit", run.output)
        busy = pixelgate("run", "--port", port)
        assert (busy.code, "in use" in busy.error_line) == (1, True)
        assert run.interrupt() == 0
    assert is_free(port)
    assert "admin" not in run.output  # --admin-port 0: what does not exist is not printed
    summed = pixelgate("verify", "--json").json
    assert summed["ok"], summed["faults"]
    assert (summed["hits"], summed["kept"], summed["warehouse"], summed["owed"]) == (20, 20, 20, 0)
    assert summed["history"] >= 1
    assert pixelgate("verify", "--hits", "--json").json == {**summed, "history": None}
    with running(pixelgate, tmp_path / "second", port) as run:
        assert run.write_key == key
        run.fire(5)
        assert visible(pixelgate("report", "demo", "--settled", "20", "--json")) == 25
        assert run.interrupt() == 0


def test_hits_alone_add_up_where_the_history_does_not_and_only_the_whole_verify_says_so(
    pixelgate: Console, tmp_path: Path
) -> None:
    with running(pixelgate, tmp_path / "log", free_port()) as run:
        run.fire(5)
        assert run.interrupt() == 0
    with sqlite3.connect(pixelgate.data / "ledger.sqlite") as ledger:
        ledger.execute("UPDATE history SET actor = 'somebody else' WHERE version = 1")
    ledger.close()
    whole = pixelgate("verify", "--json")
    assert (whole.code, whole.json["ok"]) == (1, False)
    assert "row 1 was altered" in whole.json["faults"][0]
    hits = pixelgate("verify", "--hits", "--json")
    assert (hits.code, hits.json["ok"], hits.json["history"], hits.json["kept"]) == (0, True, None, 5)
    assert "history" not in pixelgate("verify", "--hits").out


def test_a_killed_worker_is_restarted_in_its_slot_and_no_answered_hit_is_lost(
    pixelgate: Console, tmp_path: Path
) -> None:
    """I10 over kill -9; what the worker had not published yet is told as unknown, not as a fault."""
    with running(pixelgate, tmp_path / "log", free_port(), "--workers", "2") as run:
        answered = run.fire(30)
        counters = pixelgate.data / "counters"
        victim = next(p for p in read_counters(counters) if p.worker == 1)
        os.kill(victim.pid, signal.SIGKILL)

        def replacement() -> bool:
            return any(p.worker == 1 and p.pid != victim.pid for p in read_counters(counters))

        eventually(replacement, START_SECONDS)
        answered += run.fire(30)
        assert visible(pixelgate("report", "demo", "--settled", "30", "--json")) >= answered
        assert run.interrupt() == 0
    summed = pixelgate("verify", "--json").json
    assert summed["ok"], summed["faults"]
    assert [lost["journal"] for lost in summed["unknown"]] == [victim.journal]
    assert "collector 1 restarted" in run.output


def test_a_killed_run_leaves_no_process_and_no_port_behind_and_the_next_one_starts_at_once(
    pixelgate: Console, tmp_path: Path
) -> None:
    port = free_port()
    with running(pixelgate, tmp_path / "first", port) as run:
        roles = run.roles
        assert len(roles) >= 3
        answered = run.fire(10)
        run.process.kill()
        run.process.wait()
        with running(pixelgate, tmp_path / "second", port) as again:
            assert not set(roles) & set(again.roles)
            eventually(lambda: not any(alive(pid) for pid in roles))
            assert visible(pixelgate("report", "demo", "--settled", "30", "--json")) == answered
            assert again.interrupt() == 0


@pytest.mark.parametrize("option", ["--port", "--admin-port"])
def test_a_busy_port_is_named_in_one_line_before_anything_starts(pixelgate: Console, option: str) -> None:
    """SO_REUSEPORT would let workers share a port with a stranger: that counts as busy too."""
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        port = stranger.getsockname()[1]
        ports = {"--port": "0", "--admin-port": "0", option: str(port)}
        ran = pixelgate("run", "--host", "127.0.0.1", *(word for pair in ports.items() for word in pair))
    assert ran.code == 1
    assert f"port {port} " in ran.error_line
    assert option in ran.error_line
    assert not any((pixelgate.data / "journals").iterdir())


def asked(url: str, token: str) -> tuple[int, dict[str, object]]:
    """The status and document of a question to the admin API."""
    answer = httpx.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=30)
    return answer.status_code, answer.json()


@pytest.mark.parametrize("role", ["run", "collector"])
def test_a_certificate_that_cannot_serve_is_named_in_one_line_before_anything_starts(
    pixelgate: Console, tmp_path: Path, role: str
) -> None:
    file = tmp_path / "site.pem"
    ran = pixelgate(role, "--tls-certificate", str(file))
    assert ran == Ran(2, "", f"pixelgate: PIXELGATE_TLS_CERTIFICATE: {file} is no file\n")


def test_the_first_run_shows_an_operators_token_once_and_the_api_takes_it(pixelgate: Console, tmp_path: Path) -> None:
    """And usage comes from the consumer that runs beside: hits of hidden times are an operator's to see, no owner's."""
    admin = str(free_port())
    with running(pixelgate, tmp_path / "first", free_port(), "--admin-port", admin) as run:
        api = re.findall(r"^api +(\S+)$", run.output, re.MULTILINE)[0]
        token = re.findall(r"^token +(pixelgate_\S+) ", run.output, re.MULTILINE)[0]
        assert api == f"http://127.0.0.1:{admin}/api/v1"
        owner = pixelgate("token", "create", "--role", "owner", "--account", "demo", "--json").json["token"]
        assert asked(f"{api}/token", token)[1]["role"] == "operator"
        run.fire(5)
        pixelgate("account", "do", "demo", "pause", "--json")
        run.fire(3)
        assert visible(pixelgate("report", "demo", "--settled", "20", "--json")) == 5
        status, usage = asked(f"{api}/accounts/demo/usage", token)
        assert (status, usage["events"]) == (200, {"visible": 5, "hidden": 3, "unverified": 0})
        status, problem = asked(f"{api}/accounts/demo/usage", owner)
        assert (status, problem["code"]) == (403, "access_denied")
        pixelgate("account", "do", "demo", "resume", "--json")
        status, usage = asked(f"{api}/accounts/demo/usage", owner)
        assert (status, usage["events"], usage["access"]) == (200, {"visible": 8}, "FULL")
        assert asked(f"{api}/accounts/demo/usage?month=2001-01", owner)[1]["events"] == {"visible": 0}
        assert run.interrupt() == 0
    with running(pixelgate, tmp_path / "second", free_port(), "--admin-port", admin) as run:
        assert "pixelgate_" not in run.output
        assert asked(f"{api}/token", token)[0] == 200
        assert run.interrupt() == 0
