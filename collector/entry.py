"""Entry: how one write key stands, packed into one bytes object.

Made and read by `gate.py`; what is plain is read by `group.py` too. Pure. A million keys must fit a worker: an object
with fields takes 290 bytes more than its key, this takes 64 with an account's id of up to 26 characters, and the
garbage collector never looks at it. Keys of an account that stand alike share one.

    at  bytes                 a plain entry: nothing scheduled, nothing final, a version below 2^40
     0      1  outcome        below PLAIN_END
     1      5  version        big-endian
     6      -  account

    at  bytes                 any other
     0      1  outcome        plus PLAIN_END: what holds before the first step
     1      1  flags          how many steps, plus FINAL
     2      8  version
    10     9n  steps          each: from when (microseconds UTC, signed), outcome from then on
     -      -  account
"""

import struct
from operator import itemgetter
from typing import Any, Final

from collector.outcome import Outcome
from gating.feed import KeyState, StatusChange
from gating.status import Status, Verdict

PLAIN_END: Final = 0x10
ACCOUNT: Final = slice(6, None)
"""Where a plain entry has its account. A slice made once: 20 ns less than `entry[6:]` (timeit, CPython 3.11)."""
NEVER_US: Final = 2**63
"""Later than any instant."""

_VERSION: Final = slice(1, 6)
_PLAIN_VERSION_END: Final = 2**40
_FINAL: Final = 0x80
_STEPS: Final = 0x03
_HEAD: Final = struct.Struct(">BBQ")
_STEP: Final = struct.Struct(">qB")

if max(Outcome) >= PLAIN_END:  # not `assert`: python -O would drop it
    raise ValueError(f"an outcome must lie below {PLAIN_END}")

# Plain ints: the group indexes its counters by them, which takes 89 ns a hit's two lookups by an enum member, 35 so
# (timeit, CPython 3.11).
Answer = tuple[int, bytes]
"""An Outcome, and whose the hit is."""
_REVOKED: Final = int(Outcome.DROPPED_REVOKED_KEY)
_UNVERIFIED: Final = int(Outcome.UNVERIFIED)
_OUTCOME: Final = {
    Verdict.ACCEPT: int(Outcome.ACCEPTED),
    Verdict.HIDE: int(Outcome.HIDDEN),
    Verdict.DROP: int(Outcome.DROPPED_STATUS),
}
_OUTCOME_BY_NAME: Final = {verdict.name: outcome for verdict, outcome in _OUTCOME.items()}
_BYTES: Final = tuple(bytes((outcome,)) for outcome in range(PLAIN_END))
_STATUSES: Final = frozenset(str(status) for status in Status)
_FIELDS: Final = itemgetter("version", "account", "at_us", "status", "verdict", "until_us", "then", "final", "keys")

Step = tuple[int, int]
"""From when, in microseconds UTC, and the outcome from then on."""


def pack(outcome: int, version: int, account: bytes, steps: tuple[Step, ...] = (), *, final: bool = False) -> bytes:
    """Encode one entry.

    steps: at most two, in the order they come; each holds only once those before it do. final: nothing brings this
    key's hits back (account deleted, key revoked), so they drop without a lease too. version: 0 .. VERSION_MAX.
    """
    if not steps and not final and version < _PLAIN_VERSION_END:
        return _BYTES[outcome] + version.to_bytes(5, "big") + account
    head = _HEAD.pack(PLAIN_END + outcome, len(steps) | (_FINAL if final else 0), version)
    # What lies beyond 64 bits comes before or after every instant, and so does what it is clamped to.
    packed = (_STEP.pack(max(-NEVER_US, min(at_us, NEVER_US - 1)), then) for at_us, then in steps)
    return b"".join((head, *packed, account))


def version_of(entry: bytes) -> int:
    """The version of the change that an entry comes from."""
    return int.from_bytes(entry[_VERSION] if entry[0] < PLAIN_END else entry[2:10], "big")


def answer_of(entry: bytes, now_us: int, leased: bool) -> Answer:
    """What becomes of a hit at this instant; without a lease all but what is final is unverified."""
    outcome = entry[0]
    if outcome < PLAIN_END:
        return outcome if leased else _UNVERIFIED, entry[ACCOUNT]
    outcome -= PLAIN_END
    steps = entry[1] & _STEPS
    account = entry[_HEAD.size + steps * _STEP.size :]
    if not leased:
        return outcome if entry[1] & _FINAL else _UNVERIFIED, account
    for at in range(steps):
        from_us, then = _STEP.unpack_from(entry, _HEAD.size + at * _STEP.size)
        if now_us < from_us:
            break
        outcome = then
    return outcome, account


def entry_of(change: StatusChange, key: KeyState) -> bytes:
    """Lay one key's schedule out: the account's deadline and the key's own end, in the order they come."""
    account, version = change.account.encode(), change.version
    end_us = NEVER_US if key.revoked_at_us is None else key.revoked_at_us
    if end_us <= change.at_us:
        return pack(_REVOKED, version, account, final=True)
    steps: tuple[Step, ...] = () if end_us == NEVER_US else ((end_us, _REVOKED),)
    if change.until_us is not None and change.then is not None and change.until_us < end_us:
        steps = ((change.until_us, _OUTCOME[change.then]), *steps)
    return pack(_OUTCOME[change.verdict], version, account, steps, final=change.final)


def single(d: Any) -> tuple[str, int, bytes] | None:
    """The write key, version and entry of a change with one key that nobody revoked: what most accounts are.

    d: the change's JSON, read. The same as `StatusChange.of_json` and `entry_of`, at a fifth of their time; None for
    what needs those two, be it another kind of change or none at all.
    """
    try:
        version, account, at_us, status, verdict, until_us, then, final, keys = _FIELDS(d)
        ((write_key, revoked_at_us),) = keys
        outcome = _OUTCOME_BY_NAME[verdict]
        if not (
            revoked_at_us is None
            and type(version) is int
            and 0 <= version < _PLAIN_VERSION_END
            and type(account) is str
            and type(write_key) is str
            and status in _STATUSES
            and type(at_us) is int
            and at_us < NEVER_US
        ):
            return None
        if until_us is None and then is None and final is False:
            return write_key, version, _BYTES[outcome] + version.to_bytes(5, "big") + account.encode()
        if type(final) is not bool or type(until_us) is not int or until_us >= NEVER_US:
            return None
        step = (until_us, _OUTCOME_BY_NAME[then])
        return write_key, version, pack(outcome, version, account.encode(), (step,), final=final)
    except (KeyError, TypeError, ValueError):
        return None
