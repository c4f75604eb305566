"""A wrong wall clock, as an operator meets it: a real service, stopped and started under another time."""

import json
import signal
import urllib.error
import urllib.request

import pytest

from deploy.doctor_clock import heartbeat
from gating.datadir import DataDirectory
from gating.ledger import Ledger, sqlite_url
from tests.eventually import eventually
from tests.lives.life import RUNNER, app
from tests.lives.wall_clock import WallClock
from tests.processes import Process, answers, free_port


class Service:
    """A gating service of one data directory, started anew whenever the clock is set."""

    def __init__(self, folder):
        self.directory = DataDirectory.open(folder / "data")
        self.clock, self._folder = WallClock(folder), folder
        self.port, self.process = 0, None

    def at(self, day):
        self.stop()
        self.clock.move(day)
        self.port = free_port()
        self.process = Process(
            ["-m", "gating"], self.directory.root, self._folder / "gating.log",
            variables=self.clock.environment(), admin_port=self.port,
        )  # fmt: skip
        eventually(lambda: self.process.must_live() and answers(self.directory.gating_socket), 30)

    def stop(self):
        if self.process is not None:
            self.process.signal(signal.SIGTERM)
            assert self.process.popen.wait(30) == 0, self.process.log
            self.process = None

    def cli(self, *words, code=0):
        done = RUNNER.invoke(app, ["--data", str(self.directory.root), *words, "--json"])
        assert done.exit_code == code, (words, done.stdout, done.stderr)
        return json.loads(done.stdout) if code == 0 else done.stderr

    def ready(self):
        """(status, reasons)"""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health/ready", timeout=10) as answer:
                return answer.status, json.loads(answer.read())["reasons"]
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())["reasons"]
        except urllib.error.URLError:
            return 0, []  # its port is not open yet

    def durable(self):
        """The account's status as the ledger holds it."""
        with Ledger.open_reading(sqlite_url(self.directory.ledger)) as ledger:
            return ledger.account("shop").status

    def beaten(self):
        """Whether a heartbeat of this start is stored."""
        with Ledger.open_reading(sqlite_url(self.directory.ledger)) as ledger:
            beat = ledger.beat.read()
            return beat is not None and abs(beat.reading.wall_us - self.clock.now_us()) < 60 * 10**6


@pytest.fixture
def service(tmp_path):
    service = Service(tmp_path)
    yield service
    service.stop()


def test_a_clock_that_leapt_deletes_nothing_until_an_operator_confirms_it(service):
    service.at(0)
    service.cli("account", "create", "--id", "shop", "--rulebook", "default")
    service.cli("account", "do", "shop", "cancel")
    eventually(service.beaten, 30)
    service.at(40)
    eventually(lambda: service.ready()[0] == 503, 30)
    (reason,) = service.ready()[1]
    assert "days past" in reason
    assert service.cli("account", "show", "shop")["status"] == "DELETED"
    eventually(lambda: service.cli("clock", "show")["waiting"] == 1, 30)
    assert service.durable() == "CANCELED"
    refused = service.cli("account", "do", "shop", "reactivate", code=1)
    assert "pixelgate clock confirm" in refused
    eventually(lambda: heartbeat(service.directory).result == "warn", 30)
    assert service.cli("clock", "confirm")["was_in_doubt"] == "ahead"
    eventually(lambda: service.durable() == "DELETED", 30)
    eventually(lambda: service.ready() == (200, []), 30)
    eventually(lambda: heartbeat(service.directory).result == "ok", 30)


def test_a_clock_set_back_holds_deadlines_and_loses_nothing_once_it_is_right_again(service):
    service.at(0)
    service.cli("account", "create", "--id", "shop", "--rulebook", "segmetrics")
    eventually(service.beaten, 30)
    service.at(0.5)
    eventually(service.beaten, 30)
    service.at(0.1)
    eventually(lambda: service.ready()[0] == 503, 30)
    assert "behind" in service.ready()[1][0]
    assert service.cli("clock", "show")["in_doubt"] == "behind"
    service.at(0.6)
    eventually(lambda: service.ready() == (200, []), 30)
    assert service.durable() == "TRIAL"
