"""Supervisor: role processes as children, restarted when they die, stopped in order.

Called by local.py (`run` and `collector`). It knows modules and environments, nothing of what a role does. Each child
is a process group of its own, so that Ctrl-C in a terminal reaches the supervisor alone and the order of a stop is its
to choose; if the supervisor itself dies, child.py ends each role.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from deploy.errors import RoleFailed, RoleGaveUp
from deploy.signals import Signals

BACKOFF_SECONDS: Final = 0.1  # the first restart; doubled each time up to the maximum
BACKOFF_SECONDS_MAX: Final = 5.0
STEADY_SECONDS: Final = 10.0  # a process that lived this long starts its back-off anew
REAP_SECONDS: Final = 5.0  # how long a killed process may take to vanish


@dataclass(frozen=True, slots=True)
class Role:
    """One process to keep alive: `python -m module`. Lower stages stop first, each before the next begins to.

    stop_seconds: how long a stop may take before the process is killed.
    farewell: called before a process that runs is told to stop; bounded, and raises nothing.
    """

    name: str
    module: str
    stage: int
    stop_seconds: float
    environment: Mapping[str, str] = field(default_factory=dict)
    farewell: Callable[[], None] | None = None


class _Child:
    """A role's present process, if any, and when the next one is due."""

    def __init__(self, role: Role) -> None:
        self.role = role
        self.process: subprocess.Popen[bytes] | None = None
        self.started = 0.0
        self.due: float | None = None
        self.backoff_seconds = BACKOFF_SECONDS
        self.starts = 0

    def settle(self, now: float) -> None:
        """The process has died: decide when the next one starts."""
        if now - self.started >= STEADY_SECONDS:
            self.backoff_seconds = BACKOFF_SECONDS
        self.due = now + self.backoff_seconds
        self.backoff_seconds = min(2 * self.backoff_seconds, BACKOFF_SECONDS_MAX)


class Supervisor:
    """Keeps the roles' processes alive between `start` and `stop`; used as a context manager it stops in any case."""

    def __init__(self, roles: Iterable[Role], say: Callable[[str], None]) -> None:
        """say: told, in one line each, about deaths and restarts."""
        self._children = [_Child(role) for role in roles]
        self._say = say
        self._lifeline_read, self._lifeline_write = os.pipe()
        self._closed = False

    def __enter__(self) -> "Supervisor":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.stop(politely=kind is None)

    @property
    def pids(self) -> dict[str, int]:
        """The process id of each role that is alive, by name."""
        return {c.role.name: c.process.pid for c in self._children if c.process is not None}

    def start(self) -> None:
        """Start every role."""
        for child in self._children:
            self._spawn(child)

    def tick(self) -> None:
        """Reap what died and start what is due again."""
        now = time.monotonic()
        for child in self._children:
            if child.process is not None and child.process.poll() is not None:
                self._say(f"{child.role.name} (process {child.process.pid}) {ended(child.process.returncode)}")
                child.process = None
                child.settle(now)
            if child.due is not None and now >= child.due:
                self._spawn(child)

    def demand_alive(self) -> None:
        """Raise RoleFailed if a role that was started has ended on its own: for the time until everything works once.

        RoleGaveUp, where it ended with an error, of which it has told.

        A process ended by a signal is no failure of the role, but someone's kill; `tick` restarts it.
        """
        for child in self._children:
            process = child.process
            if process is not None and (code := process.poll()) is not None and code >= 0:
                failed = RoleGaveUp if code else RoleFailed
                raise failed(f"{child.role.name} {ended(code)} before it was ready")

    def run(self, signals: Signals, every_seconds: float, each: Callable[[], None]) -> None:
        """Tick, and call `each` once in `every_seconds`, until a signal of STOP comes; restarts do not wait for it."""
        next_call = time.monotonic() + every_seconds
        while True:
            due = [child.due for child in self._children if child.due is not None]
            if any(number != signal.SIGCHLD for number in signals.wait(min([next_call, *due]) - time.monotonic())):
                return
            self.tick()
            if time.monotonic() >= next_call:
                each()
                # Not `now + every`: lines would drift; a long pause (a closed lid) skips what it missed.
                next_call = max(next_call + every_seconds, time.monotonic())

    def stop(self, *, politely: bool = True) -> None:
        """Stop stage after stage; whoever takes longer than its `stop_seconds` is killed. Harmless when repeated.

        politely: with farewells. A start that failed has none: they wait for what may never come up.
        """
        if self._closed:
            return
        self._closed = True
        for stage in sorted({child.role.stage for child in self._children}):
            self._stop_stage([child for child in self._children if child.role.stage == stage], politely)
        os.close(self._lifeline_write)
        os.close(self._lifeline_read)

    def _stop_stage(self, children: list[_Child], politely: bool) -> None:
        running = [(child.role, child.process) for child in children if child.process is not None]
        for role, _ in running:
            if politely and role.farewell is not None:
                role.farewell()
        asked = time.monotonic()
        for _, process in running:
            process.send_signal(signal.SIGTERM)
        for role, process in running:
            try:
                process.wait(max(0.0, asked + role.stop_seconds - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._say(f"{role.name} did not stop within {role.stop_seconds:g} s and was killed")
                process.kill()
                process.wait(REAP_SECONDS)
        for child in children:
            child.process = child.due = None

    def _spawn(self, child: _Child) -> None:
        role = child.role
        # -P: what lies in the directory that the user happens to stand in is not imported.
        command = [sys.executable, "-P", "-m", "deploy.child", str(self._lifeline_read), "-m", role.module]
        child.process = subprocess.Popen(
            command,
            env={**os.environ, **role.environment},
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno(),  # stdout is the supervisor's own: what a user pipes stays readable
            pass_fds=(self._lifeline_read,),
            process_group=0,
        )
        if child.starts:
            self._say(f"{role.name} restarted (process {child.process.pid})")
        child.starts += 1
        child.started, child.due = time.monotonic(), None


def ended(code: int) -> str:
    """How a process ended, in words; `code` as subprocess gives it (negative: the signal)."""
    if code >= 0:
        return f"ended with exit code {code}"
    return (
        f"was ended by {signal.Signals(-code).name}" if -code in set(signal.Signals) else f"was ended by signal {-code}"
    )
