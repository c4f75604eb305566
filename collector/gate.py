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

import orjson

from collector.entry import Answer, answer_of, entry_of, single, version_of
from collector.outcome import Outcome
from gating.feed import StatusChange

CLOCK_STEP_BACK_US_MAX: Final = 2_000_000
"""A contact may correct the feed's clock by this much without `received_at` turning back; a larger step is taken."""

SHARDS: Final = 256
"""Dictionaries that the keys lie in, by their hash. One alone that grows to a million keys copies 700,000 of them at
once and holds every answer up for some 50 ms meanwhile; to find the shard costs a hit 0.1 us (docs/performance.md)."""
SHARD_MASK: Final = SHARDS - 1

_UNKNOWN_KEY: Final[Answer] = (int(Outcome.DROPPED_UNKNOWN_KEY), b"")
_NO_KEY: Final[Answer] = (int(Outcome.DROPPED_NO_KEY), b"")
_UNVERIFIED_UNKNOWN: Final[Answer] = (int(Outcome.UNVERIFIED), b"")


def boot_ns() -> int:
    """CLOCK_BOOTTIME in nanoseconds."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class Gate:
    """A map of write keys that stands at one version of one epoch, and a lease that says how long it may be believed.

    Within an epoch it never moves backwards. `version` is what the records of this tick are stamped with.
    """

    def __init__(self, boot_ns: Callable[[], int] = boot_ns, now_us: int | None = None) -> None:
        self._boot_ns = boot_ns
        # Write key -> entry (`entry.py`). The group's loop looks here first; changed by `restart` and `apply` alone.
        self.shards: list[dict[bytes, bytes]] = [{} for _ in range(SHARDS)]
        self._forgotten: list[dict[bytes, bytes]] = []  # of earlier epochs, still to be freed
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
        entry = self.shards[hash(key) & SHARD_MASK].get(key)
        if entry is not None:
            return answer_of(entry, now_us, leased)
        if not key:
            return _NO_KEY  # nobody's with or without a lease
        return _UNKNOWN_KEY if leased else _UNVERIFIED_UNKNOWN

    # ---- moved by the feed (gating.feed.Follower) -------------------------------------------------------------------

    def restart(self, epoch: str) -> None:
        """Forget the map and the lease: in another epoch the same version may mean another change."""
        self._forgotten += filter(None, self.shards)
        self.shards = [{} for _ in range(SHARDS)]
        self._lease_until_ns = 0
        self.epoch = epoch
        self.version = 0

    def apply(self, change: StatusChange) -> None:
        """Take one account's keys over. A key that already stands newer keeps its newer state.

        A change lists all keys of its account that may still collect; one that is left out was revoked by an earlier
        change and stays so here.
        """
        shards, version = self.shards, change.version
        packed: dict[int | None, bytes] = {}  # by when the key is revoked: keys that stand alike share an entry
        for key in change.keys:
            name = key.write_key.encode()
            shard = shards[hash(name) & SHARD_MASK]
            old = shard.get(name)
            if old is None or version_of(old) < version:
                entry = packed.get(key.revoked_at_us)
                if entry is None:
                    entry = packed[key.revoked_at_us] = entry_of(change, key)
                shard[name] = entry

    def apply_page(self, changes: Sequence[bytes]) -> None:
        """Take many encoded changes over (see `Follower.apply_page`)."""
        self._free_some()
        shards, loads = self.shards, orjson.loads
        for data in changes:
            read = loads(data)
            plain = single(read)
            if plain is None:
                self.apply(StatusChange.of_json(read))
                continue
            write_key, version, entry = plain
            name = write_key.encode()
            shard = shards[hash(name) & SHARD_MASK]
            old = shard.get(name)
            if old is None or version_of(old) < version:
                shard[name] = entry

    def _free_some(self) -> None:
        """Free a shard of what an earlier epoch left: a million keys at once would hold answers up for 50 ms."""
        if self._forgotten:
            self._forgotten.pop()

    def stand(self, version: int) -> None:
        """Everything up to `version` has been applied."""
        self.version = max(self.version, version)
        self.loaded = True

    def lease(self, until_boot_ns: int) -> None:
        self._lease_until_ns = max(self._lease_until_ns, until_boot_ns)
        self._free_some()

    def set_clock(self, now_us: int, at_boot_ns: int) -> None:
        self._offset_ns = now_us * 1000 - at_boot_ns

    # ---- told to health, metrics and tests --------------------------------------------------------------------------

    @property
    def leased(self) -> bool:
        return self._boot_ns() < self._lease_until_ns

    def __len__(self) -> int:
        return sum(map(len, self.shards))
