"""What the leader and the workers of one host say to each other, one Unix datagram each.

    report   worker -> leader   "I am W, this is my report N, my map stands at VERSION of EPOCH"
    answer   leader -> worker   "to your report N: the ledger's head is HEAD of EPOCH, my clock shows NOW"
    change   leader -> worker   "VERSION follows PREVIOUS: ..." (a StatusChange)

Pure encoding, and the one helper that opens a socket. A datagram is delivered whole or not at all; one that is lost
costs a worker nothing but a read of the ledger (LedgerFeed) and the leader nothing but a lease's time (Fence).
"""

import contextlib
import fcntl
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from gating.feed import StatusChange

DATAGRAM_BYTES_MAX: Final = 200_000
"""Below Linux's default send buffer of 212,992 bytes, which bounds a Unix datagram."""

LOCK_SUFFIX: Final = ".lock"
"""Beside each mailbox lies a file that its process holds locked for as long as it lives."""


@dataclass(frozen=True, slots=True)
class Report:
    worker: str
    number: int
    epoch: str
    version: int


@dataclass(frozen=True, slots=True)
class Answer:
    number: int
    epoch: str
    head: int
    now_us: int


@dataclass(frozen=True, slots=True)
class Announcement:
    epoch: str
    previous: int
    change: StatusChange


Message = Report | Answer | Announcement


def encode(message: Message) -> bytes:
    """One JSON array, its first element the kind."""
    match message:
        case Report():
            return orjson.dumps(["report", message.worker, message.number, message.epoch, message.version])
        case Answer():
            return orjson.dumps(["answer", message.number, message.epoch, message.head, message.now_us])
        case Announcement():
            return orjson.dumps(["change", message.epoch, message.previous, orjson.Fragment(message.change.encode())])


def decode(data: bytes) -> Message:
    """Inverse of `encode`. Raises ValueError for anything else."""
    try:
        kind, *fields = orjson.loads(data)
        if kind == "report":
            worker, number, epoch, version = fields
            return Report(str(worker), int(number), str(epoch), int(version))
        if kind == "answer":
            number, epoch, head, now_us = fields
            return Answer(int(number), str(epoch), int(head), int(now_us))
        if kind == "change":
            epoch, previous, change = fields
            return Announcement(str(epoch), int(previous), StatusChange.decode(orjson.dumps(change)))
    except (TypeError, ValueError) as error:
        raise ValueError(f"not a datagram of ours: {error}") from error
    raise ValueError(f"not a datagram of ours: kind {str(kind)[:20]!r}")


class Mailbox:
    """A bound, non-blocking Unix datagram socket in a directory, whatever that directory's path is long.

    An address in `sun_path` has 107 bytes (unix(7)). The directory is held open and named through /proc/self/fd, so
    that only the name within it counts.
    """

    def __init__(self, directory: Path, name: str) -> None:
        self._directory_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.name = name
        self._lock_fd = _locked(directory / f"{name}{LOCK_SUFFIX}")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            self._unlink(name)  # a dead process's: names are unique to a start, or locked by a role
            self.socket.bind(self._address(name))
            (directory / name).chmod(0o600)
        except OSError:
            self.close()
            raise

    def _address(self, name: str) -> str:
        return f"/proc/self/fd/{self._directory_fd}/{name}"

    def send(self, to: str, message: Message) -> bool:
        """Send to another mailbox of the directory; False where nobody reads there or its queue is full."""
        try:
            self.socket.sendto(encode(message), self._address(to))
        except (FileNotFoundError, ConnectionRefusedError, BlockingIOError):
            return False
        except OSError as error:
            # ENOBUFS, EMSGSIZE and their like: lost, as any datagram may be.
            if error.errno is None:
                raise
            return False
        return True

    def receive(self) -> Message | None:
        """The next message, or None when there is none now; what is not one of ours is passed over."""
        while True:
            try:
                data = self.socket.recv(DATAGRAM_BYTES_MAX + 1)
            except BlockingIOError:
                return None
            try:
                return decode(data)
            except ValueError:
                continue

    def close(self) -> None:
        """Leave the directory; whoever still sends here is told that nobody reads."""
        self.socket.close()
        self._unlink(self.name)
        self._unlink(self.name + LOCK_SUFFIX)
        os.close(self._lock_fd)
        os.close(self._directory_fd)

    def _unlink(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._directory_fd)


def _locked(path: Path) -> int:
    """Hold a lock file; one that `living` took for a dead process's and removed meanwhile is made again."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return descriptor
        os.close(descriptor)


def living(directory: Path) -> list[str]:
    """The mailboxes whose process lives now; what dead ones left is removed.

    A worker holds its lock before its first report, so one that is not found here holds no lease either.
    """
    alive = []
    for lock in directory.glob(f"*{LOCK_SUFFIX}"):
        name = lock.name.removesuffix(LOCK_SUFFIX)
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            lock.with_name(name).unlink(missing_ok=True)
            lock.unlink(missing_ok=True)
        except BlockingIOError:
            alive.append(name)
        finally:
            os.close(descriptor)
    return alive
