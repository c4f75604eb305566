"""Fence: which workers may still enforce an old version, and so from when on all enforce a new one (I5).

Pure: the leader (`lead.py`) tells it of each report and each grant with its own clock's reading, and asks. A worker may
verify hits only under a lease; a lease granted by the answer to a report runs `LEASE_NS` from when that report was
*sent*, so from the grant on it has surely run out after `LEASE_SURELY_OVER_NS`. A version is enforced everywhere once
each worker that may hold a lease has reported it or surely lost its lease.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

LEASE_NS: Final = 3_000_000_000
"""How long a worker may go on by the last answer; so a flip waits this long for a silent worker at the most."""
LEASE_SURELY_OVER_NS: Final = LEASE_NS * 105 // 100
"""The same by the leader's clock: 5 % for two clocks that run at different rates."""
WORKERS_MAX: Final = 10_000
"""A worker is a process; beyond this the reports are somebody's flood, and are not granted anything."""


@dataclass(slots=True)
class _Worker:
    version: int
    lease_over_ns: int  # by the leader's clock; 0 where none was ever granted


class Fence:
    """One leader's knowledge of the workers, from when it took over."""

    def __init__(self, took_over_ns: int, strangers: Iterable[str] | None) -> None:
        """Leases granted by an earlier leader may still run for a full lease after `took_over_ns`.

        strangers: the names of all workers that can hold one, where the leader can know them (each then stands until
        it reports or its lease is over); None where it cannot, which holds every version back for that long.
        """
        over_ns = took_over_ns + LEASE_SURELY_OVER_NS
        self._workers = {name: _Worker(0, over_ns) for name in strangers or ()}
        self._unknown_over_ns = over_ns if strangers is None else took_over_ns

    def report(self, worker: str, version: int, now_ns: int) -> bool:
        """Take a worker's report. Returns whether it may be granted a lease (False: too many workers)."""
        known = self._workers.get(worker)
        if known is None:
            if len(self._workers) >= WORKERS_MAX:
                self._forget(now_ns)
            if len(self._workers) >= WORKERS_MAX:
                return False
            self._workers[worker] = _Worker(version, 0)
        else:
            known.version = max(known.version, version)
        return True

    def granted(self, worker: str, now_ns: int) -> None:
        """A lease is about to be granted: to be called before the answer is sent."""
        self._workers[worker].lease_over_ns = now_ns + LEASE_SURELY_OVER_NS

    def gone(self, worker: str) -> None:
        """The worker's process is known to be dead: it enforces nothing any more."""
        self._workers.pop(worker, None)

    def missing(self, version: int, now_ns: int) -> list[str]:
        """The workers that may still enforce something older than `version`; empty means enforced everywhere."""
        late = [w for w, s in self._workers.items() if s.version < version and now_ns < s.lease_over_ns]
        if now_ns < self._unknown_over_ns:
            late.append("any worker of the gating service before this one")
        return late

    def next_expiry_ns(self, version: int, now_ns: int) -> int | None:
        """When the last of `missing` surely has no lease any more, if nobody reports until then."""
        ends = [s.lease_over_ns for s in self._workers.values() if s.version < version and now_ns < s.lease_over_ns]
        if now_ns < self._unknown_over_ns:
            ends.append(self._unknown_over_ns)
        return max(ends) if ends else None

    def enforced(self, head: int, now_ns: int) -> int:
        """The highest version up to `head` for which nobody is missing; 0 while an earlier leader's leases may run."""
        if now_ns < self._unknown_over_ns:
            return 0
        return min((s.version for s in self._workers.values() if now_ns < s.lease_over_ns), default=head)

    def forget_versions(self) -> None:
        """A new epoch began: nobody has reported anything of it. Leases that were granted run on all the same."""
        for state in self._workers.values():
            state.version = 0

    def leased(self, now_ns: int) -> list[str]:
        """The workers that may be verifying hits now."""
        # A copy: the admin port asks from a thread of its own.
        return [w for w, s in list(self._workers.items()) if now_ns < s.lease_over_ns]

    def _forget(self, now_ns: int) -> None:
        self._workers = {w: s for w, s in self._workers.items() if now_ns < s.lease_over_ns}
