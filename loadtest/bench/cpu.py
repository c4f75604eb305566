"""Cores and CPU time: who runs where, and what a process with all its children has used (Linux, /proc)."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cores:
    """One core for the server, another for the load; equal where the machine grants only one.

    more: granted cores that are neither's, for a server with several workers.
    """

    server: int
    load: int
    more: tuple[int, ...] = ()

    @classmethod
    def of_this_machine(cls) -> "Cores":
        """Choose the first and the last core this process may use: most likely not two threads of one core."""
        granted = sorted(os.sched_getaffinity(0))
        return cls(granted[0], granted[-1], tuple(granted[1:-1]))

    def of_workers(self, count: int) -> frozenset[int]:
        """Return a core for each of a server's workers, never the load's; fewer where there are fewer."""
        return frozenset((self.server, *self.more)[:count])


@contextmanager
def pinned(core: int | frozenset[int]) -> Iterator[None]:
    """Run this thread on one core, or on some, while the block runs; processes started in it stay there for good."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core} if isinstance(core, int) else core)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclass(frozen=True, slots=True)
class Usage:
    """One process in /proc/<pid>/stat: its parent and its ticks, of children it has waited for too."""

    parent: int
    ticks: int


def parse_stat(text: str) -> Usage:
    """Read one line of /proc/<pid>/stat; the command's name may hold spaces and brackets."""
    fields = text[text.rindex(")") + 2 :].split()  # from field 3 (state) on; proc(5) counts from 1
    return Usage(parent=int(fields[1]), ticks=sum(int(field) for field in fields[11:15]))  # utime stime cutime cstime


def tree(root: int) -> dict[int, Usage]:
    """Return the process and all its living descendants; empty when it is gone."""
    seen: dict[int, Usage] = {}
    for directory in PROC.iterdir():
        if directory.name.isdigit():
            try:
                seen[int(directory.name)] = parse_stat((directory / "stat").read_text())
            except (FileNotFoundError, ProcessLookupError):  # it ended between the listing and the reading
                continue
    if root not in seen:
        return {}
    members = {root}
    while grown := {pid for pid, usage in seen.items() if usage.parent in members} - members:
        members |= grown
    return {pid: seen[pid] for pid in members}


def machine_seconds() -> float:
    """Return the CPU time, in seconds, that was used on this machine's cores by anybody, or stolen by its host."""
    fields = [int(field) for field in (PROC / "stat").read_text().splitlines()[0].split()[1:9]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields
    return (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND


def waited_seconds() -> float:
    """Return the CPU time, in seconds, of the children that this process has waited for: of wrk, once it has ended."""
    times = os.times()
    return times.children_user + times.children_system


def cpu_seconds(root: int) -> float:
    """Return the CPU time, user and system, that a process and all its descendants have used so far, in seconds.

    A child that ends is counted on by the parent that waits for it. Resolution: a clock tick, most often 10 ms.
    """
    return sum(usage.ticks for usage in tree(root).values()) / TICKS_PER_SECOND
