"""Signals as values: a loop asks what came instead of being interrupted anywhere.

Called by local.py and the supervisor's loop, in the main thread alone. Handlers do nothing: Python's wake-up descriptor
carries each signal's number into a socket, where `wait` reads it.
"""

import select
import signal
import socket
from collections.abc import Iterable
from types import FrameType, TracebackType
from typing import Final

STOP: Final = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
"""What asks a supervisor to stop: Ctrl-C, a service manager, a closed terminal."""

READ_BYTES: Final = 4096


def _noted(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: that the signal came stands in the wake-up socket."""


class Signals:
    """While entered, the given signals are collected instead of acting. One at a time, in the main thread."""

    def __init__(self, numbers: Iterable[signal.Signals]) -> None:
        self._numbers = frozenset(numbers)
        self._kept: dict[signal.Signals, object] = {}
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._wakeup_before = -1

    def __enter__(self) -> "Signals":
        # A full socket loses no information: there already is something to wake up for.
        self._wakeup_before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in self._numbers:
            self._kept[number] = signal.signal(number, _noted)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._kept.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal() itself returned
        signal.set_wakeup_fd(self._wakeup_before)
        self._reader.close()
        self._writer.close()

    def wait(self, seconds: float) -> frozenset[signal.Signals]:
        """Return what came within `seconds`, as soon as anything did; empty after the time."""
        select.select([self._reader], [], [], max(0.0, seconds))
        try:
            numbers = self._reader.recv(READ_BYTES)
        except BlockingIOError:
            return frozenset()
        return frozenset(signal.Signals(number) for number in numbers) & self._numbers
