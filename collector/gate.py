"""Gate: write key -> what becomes of the hit, in process.

Asked by `group.py` for every hit, moved by one feed (`gating.feed.Follower`). It does no I/O and waits for nothing on a
hit's way (I3), and decides no policy: the verdicts it hands out were computed by gating and travelled here.

Two clocks meet in it. CLOCK_BOOTTIME, which nobody sets and which goes on while the machine sleeps, says whether the
lease still runs. The feed's clock (its time at the last contact plus CLOCK_BOOTTIME since) says which side of a
deadline a hit is on and stamps it, so that a jump of the host's own clock moves neither.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final

from collector.outcome import Outcome
from gating.feed import KeyState, StatusChange
from gating.status import Verdict

NEVER_US: Final = 2**63
"""Later than any instant: the `until` of what has no end."""

CLOCK_STEP_BACK_US_MAX: Final = 2_000_000
"""A contact may correct the feed's clock by this much without `received_at` turning back; a larger step is taken."""

_OUTCOME: Final = {
    Verdict.ACCEPT: Outcome.ACCEPTED,
    Verdict.HIDE: Outcome.HIDDEN,
    Verdict.DROP: Outcome.DROPPED_STATUS,
}
# An Outcome and an account, here and in every entry. The outcome as a plain int: the group indexes by it, and the two
# lookups of a hit take 35 ns so, 89 by an enum member (timeit, CPython 3.11).
Answer = tuple[int, bytes]
_UNKNOWN_KEY: Final[Answer] = (int(Outcome.DROPPED_UNKNOWN_KEY), b"")
_NO_KEY: Final[Answer] = (int(Outcome.DROPPED_NO_KEY), b"")
_UNVERIFIED_UNKNOWN: Final[Answer] = (int(Outcome.UNVERIFIED), b"")


def boot_ns() -> int:
    """CLOCK_BOOTTIME in nanoseconds."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class Entry:
    """How one write key stands: `answer` until `until_us`, then what `then` says.

    answer: outcome and account, while leased; unleased: the same without a lease.
    final: nothing brings this key's hits back (account deleted, key revoked), so they drop without a lease too.
    """

    __slots__ = ("answer", "final", "then", "unleased", "until_us", "version")

    def __init__(
        self, outcome: Outcome, account: bytes, *, until_us: int, then: "Entry | None", version: int, final: bool
    ) -> None:
        self.answer: Answer = (int(outcome), account)
        self.unleased: Answer = self.answer if final else (int(Outcome.UNVERIFIED), account)
        self.until_us = until_us
        self.then = then
        self.version = version
        self.final = final

    def at(self, now_us: int) -> "Entry":
        """The step of the schedule that holds at `now_us`."""
        entry = self
        while entry.then is not None and now_us >= entry.until_us:
            entry = entry.then
        return entry


def entry_of(change: StatusChange, key: KeyState) -> Entry:
    """Lay one key's schedule out: the account's deadline and the key's own end, in the order they come."""
    account = change.account.encode()
    version = change.version
    revoked = Entry(
        Outcome.DROPPED_REVOKED_KEY, account, until_us=NEVER_US, then=None, version=version, final=True
    )  # fmt: skip
    end_us = NEVER_US if key.revoked_at_us is None else key.revoked_at_us
    if end_us <= change.at_us:
        return revoked
    until_us, then = end_us, None if end_us == NEVER_US else revoked
    if change.until_us is not None and change.then is not None and change.until_us < end_us:
        then = Entry(_OUTCOME[change.then], account, until_us=end_us, then=then, version=version, final=False)
        until_us = change.until_us
    return Entry(
        _OUTCOME[change.verdict], account, until_us=until_us, then=then, version=version, final=change.final
    )  # fmt: skip


class Gate:
    """A map of write keys that stands at one version of one epoch, and a lease that says how long it may be believed.

    Within an epoch it never moves backwards. `version` is what the records of this tick are stamped with.
    """

    def __init__(self, boot_ns: Callable[[], int] = boot_ns, now_us: int | None = None) -> None:
        self._boot_ns = boot_ns
        self.entries: dict[bytes, Entry] = {}  # the group's loop looks here first; changed by `apply` alone
        self._lease_until_ns = 0
        self._last_us = 0
        self.epoch = ""
        self.version = 0
        self.loaded = False
        # Until the first contact the host's own clock stands in for the feed's; such hits are unverified anyway.
        self._offset_ns = (time.time_ns() if now_us is None else now_us * 1000) - boot_ns()

    # ---- asked for every tick and hit -------------------------------------------------------------------------------

    def tick(self) -> tuple[int, bool]:
        """Read the clock, once a tick and after its last chunk: (the feed's time in us, whether the lease holds)."""
        boot = self._boot_ns()
        now_us = (boot + self._offset_ns) // 1000
        if self._last_us - CLOCK_STEP_BACK_US_MAX < now_us < self._last_us:
            now_us = self._last_us
        self._last_us = now_us
        return now_us, boot < self._lease_until_ns

    def decide(self, key: bytes, now_us: int, leased: bool) -> Answer:
        """What becomes of a hit on `key`, and whose it is (b"" for an unknown or missing key)."""
        entry = self.entries.get(key)
        if entry is None:
            if not key:
                return _NO_KEY  # nobody's with or without a lease
            return _UNKNOWN_KEY if leased else _UNVERIFIED_UNKNOWN
        if not leased:
            return entry.unleased
        if now_us < entry.until_us:
            return entry.answer
        return entry.at(now_us).answer

    # ---- moved by the feed (gating.feed.Follower) -------------------------------------------------------------------

    def restart(self, epoch: str) -> None:
        """Forget the map and the lease: in another epoch the same version may mean another change."""
        self.entries.clear()
        self._lease_until_ns = 0
        self.epoch = epoch
        self.version = 0

    def apply(self, change: StatusChange) -> None:
        """Take one account's keys over. A key that already stands newer keeps its newer state.

        A change lists all keys of its account that may still collect; one that is left out was revoked by an earlier
        change and stays so here.
        """
        entries = self.entries
        for key in change.keys:
            name = key.write_key.encode()
            old = entries.get(name)
            if old is None or old.version < change.version:
                entries[name] = entry_of(change, key)

    def apply_page(self, changes: Sequence[bytes]) -> None:
        """Take many encoded changes over (see `Follower.apply_page`)."""
        for data in changes:
            self.apply(StatusChange.decode(data))

    def stand(self, version: int) -> None:
        """Everything up to `version` has been applied."""
        self.version = max(self.version, version)
        self.loaded = True

    def lease(self, until_boot_ns: int) -> None:
        self._lease_until_ns = max(self._lease_until_ns, until_boot_ns)

    def set_clock(self, now_us: int, at_boot_ns: int) -> None:
        self._offset_ns = now_us * 1000 - at_boot_ns

    # ---- told to health, metrics and tests --------------------------------------------------------------------------

    @property
    def leased(self) -> bool:
        return self._boot_ns() < self._lease_until_ns

    def __len__(self) -> int:
        return len(self.entries)
