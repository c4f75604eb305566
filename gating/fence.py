"""Fence: which workers may still enforce an old version, and so from when on all enforce a new one (I5).

Pure: the leader (`lead.py`) tells it of each report and each grant with its own clock's reading, and asks. A worker may
verify hits only under a lease; a lease granted by the answer to a report runs `LEASE_NS` from when that report was
*sent*, so from the grant on it has surely run out after `LEASE_SURELY_OVER_NS`. It counts only once the worker's map
stands at the head it was granted for. So a version is enforced everywhere once each worker that may hold a lease has
reported it, or holds none any more that was granted for less: one that goes on asking and never gets the change (Redis
carries its reports, but no change) is waited for as long as one that is silent, and no longer.
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


GRANTS_MAX: Final = 8
"""Heads that a worker's running leases are told apart by. Beyond it the two oldest count as the older head's until the
newer one's end: a flip then waits longer than it had to, and never less."""


@dataclass(slots=True)
class _Worker:
    """grants: (head, when by the leader's clock every lease granted for it is surely over), both ascending."""

    version: int
    grants: list[tuple[int, int]]

    def grant(self, head: int, now_ns: int) -> None:
        live = [grant for grant in self.grants if now_ns < grant[1] and grant[0] != head]
        if len(live) >= GRANTS_MAX:
            live[:2] = [(live[0][0], live[1][1])]
        self.grants = [*live, (head, now_ns + LEASE_SURELY_OVER_NS)]

    def leased(self, now_ns: int) -> bool:
        return bool(self.grants) and now_ns < self.grants[-1][1]

    def over_ns(self, version: int) -> int:
        """When it surely verifies by nothing older than `version`; 0 where it does already."""
        if self.version >= version:
            return 0
        return max((over_ns for head, over_ns in self.grants if head < version), default=0)

    def floor(self, now_ns: int) -> int:
        """The oldest version it may be verifying by; it has a lease."""
        return max(self.version, next(head for head, over_ns in self.grants if now_ns < over_ns))


class Fence:
    """One leader's knowledge of the workers, from when it took over."""

    def __init__(self, took_over_ns: int, strangers: Iterable[str] | None) -> None:
        """Leases granted by an earlier leader may still run for a full lease after `took_over_ns`.

        strangers: the names of all workers that can hold one, where the leader can know them (each then stands until
        it reports or its lease is over); None where it cannot, which holds every version back for that long.
        """
        over_ns = took_over_ns + LEASE_SURELY_OVER_NS
        self._workers = {name: _Worker(0, [(0, over_ns)]) for name in strangers or ()}
        self._unknown_over_ns = over_ns if strangers is None else took_over_ns

    def report(self, worker: str, version: int, now_ns: int) -> bool:
        """Take a worker's report. Returns whether it may be granted a lease (False: too many workers)."""
        known = self._workers.get(worker)
        if known is None:
            if len(self._workers) >= WORKERS_MAX:
                self._forget(now_ns)
            if len(self._workers) >= WORKERS_MAX:
                return False
            self._workers[worker] = _Worker(version, [])
        else:
            known.version = max(known.version, version)
        return True

    def granted(self, worker: str, head: int, now_ns: int) -> None:
        """A lease for maps that stand at `head` is about to be granted: to be called before the answer is sent.

        head: never less than before, within an epoch.
        """
        self._workers[worker].grant(head, now_ns)

    def gone(self, worker: str) -> None:
        """The worker's process is known to be dead: it enforces nothing any more."""
        self._workers.pop(worker, None)

    def missing(self, version: int, now_ns: int) -> list[str]:
        """The workers that may still enforce something older than `version`; empty means enforced everywhere."""
        late = [w for w, s in self._workers.items() if now_ns < s.over_ns(version)]
        if now_ns < self._unknown_over_ns:
            late.append("any worker of the gating service before this one")
        return late

    def next_expiry_ns(self, version: int, now_ns: int) -> int | None:
        """When the last of `missing` surely has no lease any more, if nobody reports until then."""
        ends = [over_ns for s in self._workers.values() if now_ns < (over_ns := s.over_ns(version))]
        if now_ns < self._unknown_over_ns:
            ends.append(self._unknown_over_ns)
        return max(ends) if ends else None

    def enforced(self, head: int, now_ns: int) -> int:
        """The highest version up to `head` for which nobody is missing; 0 while an earlier leader's leases may run."""
        if now_ns < self._unknown_over_ns:
            return 0
        return min((s.floor(now_ns) for s in self._workers.values() if s.leased(now_ns)), default=head)

    def forget_versions(self) -> None:
        """A new epoch began: nobody has reported anything of it. Leases that were granted run on all the same."""
        for state in self._workers.values():
            state.version = 0
            state.grants = [(0, state.grants[-1][1])] if state.grants else []

    def leased(self, now_ns: int) -> list[str]:
        """The workers that may be verifying hits now."""
        # A copy: the admin port asks from a thread of its own.
        return [w for w, s in list(self._workers.items()) if s.leased(now_ns)]

    def _forget(self, now_ns: int) -> None:
        self._workers = {w: s for w, s in self._workers.items() if s.leased(now_ns)}
