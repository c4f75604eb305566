"""The supervisor with real child processes: restart, ordered stop, orphans."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deploy import supervisor as supervisor_module
from deploy.errors import RoleFailed
from deploy.signals import STOP, Signals
from deploy.supervisor import Role, Supervisor
from tests.deploy.workers import alive
from tests.eventually import eventually
from tests.processes import free_port

CHILDREN = Path(__file__).parent / "children"


class Stage:
    """Makes roles that write into one log, and reads it."""

    def __init__(self, directory: Path) -> None:
        self.log = directory / "log"
        self.log.touch()
        self.said: list[str] = []

    def role(self, name: str, stage: int = 0, module: str = "obedient", **environment: str) -> Role:
        common = {"LOG": str(self.log), "NAME": name, "PYTHONPATH": str(CHILDREN)}
        return Role(
            name,
            module,
            stage,
            stop_seconds=0.5 if module == "stubborn" else 10.0,
            environment={**common, **environment},
        )

    def lines(self, word: str) -> list[tuple[str, int]]:
        rows = (line.split() for line in self.log.read_text().splitlines())
        return [(name, int(pid)) for first, name, pid in rows if first == word]

    def supervise(self, *roles: Role) -> Supervisor:
        return Supervisor(roles, self.said.append)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


@pytest.fixture
def signals() -> Iterator[Signals]:
    with Signals({*STOP, signal.SIGCHLD}) as entered:
        yield entered


def test_a_dead_role_is_restarted_with_the_environment_it_had(stage: Stage) -> None:
    """A worker keeps its slot number over restarts."""
    with stage.supervise(stage.role("worker", SLOT="3")) as supervisor:
        supervisor.start()
        eventually(lambda: stage.lines("start"))
        first = supervisor.pids["worker"]
        os.kill(first, signal.SIGKILL)

        def restarted() -> bool:
            supervisor.tick()
            return len(stage.lines("start")) == 2

        eventually(restarted)
        second = supervisor.pids["worker"]
        assert second != first
        assert b"SLOT=3" in Path(f"/proc/{second}/environ").read_bytes().split(b"\0")
        assert any("SIGKILL" in line for line in stage.said)


def test_each_restart_in_a_row_waits_longer_up_to_a_bound(stage: Stage) -> None:
    clock = iter(float(n) for n in range(0, 10_000, 9))  # each look comes just before a role would count as steady
    child = supervisor_module._Child(stage.role("worker"))
    waits = []
    for _ in range(9):
        child.started = next(clock)
        child.settle(child.started)
        assert child.due is not None
        waits.append(child.due - child.started)
    assert waits[0] == pytest.approx(supervisor_module.BACKOFF_SECONDS)
    assert waits == sorted(waits)
    assert waits[-1] == pytest.approx(supervisor_module.BACKOFF_SECONDS_MAX)
    child.started = 0.0
    child.settle(supervisor_module.STEADY_SECONDS)
    assert child.due == pytest.approx(supervisor_module.STEADY_SECONDS + supervisor_module.BACKOFF_SECONDS)


def test_a_role_says_farewell_before_it_is_told_to_stop_and_only_if_it_runs(stage: Stage) -> None:
    """The consumer is asked to take everything over while the workers have stopped and it has not."""
    heard: list[list[str]] = []

    def farewell() -> None:
        heard.append([name for name, _ in stage.lines("stop")])

    consumer = replace(stage.role("consumer", 1), farewell=farewell)
    with stage.supervise(stage.role("worker", 0), consumer) as supervisor:
        supervisor.start()
        eventually(lambda: len(stage.lines("start")) == 2)
    assert heard == [["worker"]]
    with stage.supervise(consumer):
        pass  # never started
    assert len(heard) == 1


def test_stages_stop_one_after_the_other(stage: Stage) -> None:
    """The workers end before the consumer is told to, the consumer before gating."""
    roles = [stage.role("gating", 2), stage.role("worker", 0, LINGER="0.2"), stage.role("consumer", 1, LINGER="0.1")]
    with stage.supervise(*roles) as supervisor:
        supervisor.start()
        eventually(lambda: len(stage.lines("start")) == 3)
    assert [name for name, _ in stage.lines("stop")] == ["worker", "consumer", "gating"]


def test_a_role_that_will_not_stop_is_killed_and_the_rest_still_stop_in_order(stage: Stage) -> None:
    roles = [stage.role("worker", 0, "stubborn"), stage.role("gating", 1)]
    with stage.supervise(*roles) as supervisor:
        supervisor.start()
        eventually(lambda: len(stage.lines("start")) == 2)
        worker = supervisor.pids["worker"]
    assert not alive(worker)
    assert [name for name, _ in stage.lines("stop")] == ["gating"]
    assert any("was killed" in line for line in stage.said)


def test_a_role_that_ends_before_it_was_ever_ready_is_an_error(stage: Stage) -> None:
    with stage.supervise(stage.role("gating", module="failing")) as supervisor:
        supervisor.start()

        # Not by /proc: a process shows as dead there a moment before it can be waited for.
        with pytest.raises(RoleFailed, match=r"gating ended with exit code 1"):
            eventually(supervisor.demand_alive)


def test_a_stop_signal_ends_the_loop_and_a_childs_death_does_not(stage: Stage, signals: Signals) -> None:
    calls: list[int] = []

    def each() -> None:
        calls.append(1)
        if len(calls) == 1:
            os.kill(supervisor.pids["worker"], signal.SIGKILL)
        elif len(stage.lines("start")) >= 2:
            os.kill(os.getpid(), signal.SIGTERM)

    with stage.supervise(stage.role("worker")) as supervisor:
        supervisor.start()
        eventually(lambda: stage.lines("start"))
        supervisor.run(signals, 0.05, each)
    assert len(stage.lines("start")) == 2


def test_roles_of_a_killed_supervisor_stop_by_themselves_and_free_their_ports(stage: Stage) -> None:
    """kill -9 of the supervisor leaves no process and no port behind."""
    port = free_port()
    environment = {**os.environ, "LOG": str(stage.log), "FIRST_PORT": str(port)}
    environment["PYTHONPATH"] = os.pathsep.join([str(CHILDREN), str(CHILDREN.parents[2])])
    process = subprocess.Popen([sys.executable, "-m", "supervising"], env=environment)
    try:
        started = eventually(lambda: stage.lines("start") if len(stage.lines("start")) == 2 else None)
    finally:
        process.kill()
        process.wait()
    eventually(lambda: not any(alive(pid) for _, pid in started))
    assert sorted(name for name, _ in stage.lines("stop")) == ["first", "second"]
    with socket.create_server(("127.0.0.1", port)):
        pass
