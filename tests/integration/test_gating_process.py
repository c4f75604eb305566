"""The gating process and the command line's gateway, as real processes on one data directory."""

import signal
import subprocess
import sys
import threading

import pytest

from gating.datadir import DataDirectory
from gating.errors import Unreachable
from gating.gateway import Gateway
from gating.local_http import LocalClient, RemoteError
from tests.eventually import eventually
from tests.processes import ROOT, Process, answers, environment, gating


@pytest.fixture
def directory(tmp_path):
    return DataDirectory.open(tmp_path / "data")


@pytest.fixture(params=["through the gating process", "by leading itself"])
def gateway(request, directory, tmp_path):
    """Both ways to the ledger; every promise of the gateway holds for both."""
    if request.param == "by leading itself":
        yield Gateway.open(directory)
        return
    with gating(directory.root, tmp_path / "log"):
        yield Gateway.open(directory)


def test_an_account_is_opened_flipped_shown_and_its_history_told(gateway):
    made = gateway.create_account("shop", rulebook="default", owner="ana@example.org", name="Ana's shop")
    flipped = gateway.do("shop", "pause")
    assert (made["version"], flipped["version"], flipped["enforced"]) == (1, 2, True)
    assert gateway.account("shop")["status"] == "PAUSED"
    assert [change["command"] for change in gateway.history("shop")] == ["create", "pause"]
    assert [line["account"] for line in gateway.accounts(status="PAUSED", rulebook="default")] == ["shop"]


def test_keys_are_made_rotated_revoked_and_listed(gateway):
    made = gateway.create_account("shop", rulebook="default")
    blog = gateway.create_key("shop", source="blog")
    rotated = gateway.rotate_key("shop", source="blog")
    gateway.revoke_key("shop", key=made["write_key"])
    assert rotated["revoked"] == blog["write_key"]
    living = [key["write_key"] for key in gateway.keys("shop") if key["revoked_at"] is None]
    assert living == [rotated["write_key"]]


def test_keys_are_named_and_found_and_refusals_are_told(gateway):
    key = gateway.create_account("shop", rulebook="default")["write_key"]
    gateway.name_key("shop", key=key, source="blog")
    assert [found["source"] for found in gateway.find_key(f"see /p/{key}.gif")] == ["blog"]
    with pytest.raises(RemoteError):
        gateway.revoke_key("shop", key="nobodys")
    assert [(row["command"], row["version"]) for row in gateway.refusals("shop")] == [("revoke_key", 2)]
    with pytest.raises(RemoteError):
        gateway.refusals("nobody")


@pytest.mark.parametrize(
    ("ask", "exit_code", "words"),
    [
        (lambda g: g.account("nobody"), 1, "nobody"),
        (lambda g: g.do("shop", "pauze"), 1, "did you mean pause"),
        (lambda g: g.do("shop", "delete"), 1, "--confirm"),
        (lambda g: g.do("shop", "pause", role="member"), 1, "member"),
        (lambda g: g.create_account("shop", rulebook="default"), 1, "exists already"),
        (lambda g: g.create_account("a b", rulebook="default"), 1, "account id"),
        (lambda g: g.do("shop", "pause", timeout_seconds=-1), 1, "timeout"),
    ],
)
def test_a_refusal_is_the_same_clear_line_on_both_ways(gateway, ask, exit_code, words):
    gateway.create_account("shop", rulebook="default")
    with pytest.raises(RemoteError, match=words) as refused:
        ask(gateway)
    assert refused.value.exit_code == exit_code


def test_a_command_given_while_the_gating_process_starts_waits_for_it(directory, tmp_path):
    starting = Process(["-m", "gating"], directory.root, tmp_path / "log", admin_port=0)
    try:
        versions = [Gateway.open(directory).create_account(f"shop{n}", rulebook="default")["version"] for n in range(9)]
        assert versions == list(range(1, 10))
        eventually(lambda: starting.must_live() and answers(directory.gating_socket))
        assert Gateway.open(directory).do("shop1", "pause")["version"] == 10
    finally:
        starting.kill()


def test_a_frozen_gating_process_is_said_not_to_answer(directory, tmp_path):
    """CONTRACT: exit 3, a needed server cannot be reached."""
    with gating(directory.root, tmp_path / "log") as process:
        process.signal(signal.SIGSTOP)
        client = LocalClient(directory.gating_socket, "gating", timeout_seconds=0.2)
        with pytest.raises(Unreachable, match="gating process does not answer") as unreachable:
            client.ask("GET", "/api/v1/accounts")
        assert unreachable.value.exit_code == 3


def test_a_killed_gating_process_loses_nothing_and_the_next_one_goes_on(directory, tmp_path):
    with gating(directory.root, tmp_path / "log") as process:
        Gateway.open(directory).create_account("shop", rulebook="default")
        process.kill()
        assert Gateway.open(directory).do("shop", "pause")["version"] == 2
    with gating(directory.root, tmp_path / "log"):
        assert Gateway.open(directory).do("shop", "resume")["version"] == 3


def test_a_second_gating_process_on_one_directory_is_refused_in_one_line(directory, tmp_path):
    with gating(directory.root, tmp_path / "log") as process:
        second = subprocess.run(
            [sys.executable, "-m", "gating"], cwd=ROOT, env=environment(directory.root, admin_port=0),
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert second.returncode == 1
        assert second.stderr.count("\n") == 1
        assert f"process {process.pid} holds the role 'gating'" in second.stderr


def test_a_stop_is_clean(directory, tmp_path):
    with gating(directory.root, tmp_path / "log") as process:
        assert process.stop() == 0
        assert not directory.gating_socket.exists()
        assert process.log == ""


def test_command_lines_that_lead_one_after_the_other_do_not_keep_the_gating_process_from_starting(directory, tmp_path):
    Gateway.open(directory).create_account("shop", rulebook="default")
    stopping = threading.Event()

    def flip_without_pause():
        while not stopping.is_set():
            for command in ("pause", "resume"):
                Gateway.open(directory).do("shop", command)

    operators = [threading.Thread(target=flip_without_pause) for _ in range(2)]
    for operator in operators:
        operator.start()
    try:
        with gating(directory.root, tmp_path / "log") as process:
            assert process.must_live()
            assert answers(directory.gating_socket)
            stopping.set()
            for operator in operators:
                operator.join()
    finally:
        stopping.set()
