"""What became of a hit: every hit has exactly one of these (I4), and they are counted by these numbers.

A drop carries its reason, so the reasons are members here and nowhere else; `tests/collector/test_outcome.py` holds the
README's table to this list.
"""

from enum import IntEnum


class Outcome(IntEnum):
    """Index into a worker's list of counters."""

    ACCEPTED = 0  # kept, visible
    HIDDEN = 1  # kept, unseen until the account re-enrols
    UNVERIFIED = 2  # kept without a lease: counted as hidden until it is settled
    DROPPED_STATUS = 3  # the account's status says DROP
    DROPPED_REVOKED_KEY = 4  # the write key was revoked or rotated away
    DROPPED_UNKNOWN_KEY = 5  # no account has this write key
    DROPPED_NO_KEY = 6  # a pixel without a write key
    MALFORMED = 7  # answered 4xx
    OVERFLOW = 8  # answered 503: it could not be journalled

    @property
    def kept(self) -> bool:
        """True where the hit is in the journal."""
        return self <= Outcome.UNVERIFIED


LABELS: dict[Outcome, tuple[str, str]] = {
    Outcome.ACCEPTED: ("accepted", ""),
    Outcome.HIDDEN: ("hidden", ""),
    Outcome.UNVERIFIED: ("hidden", "unverified"),
    Outcome.DROPPED_STATUS: ("dropped", "status"),
    Outcome.DROPPED_REVOKED_KEY: ("dropped", "revoked_key"),
    Outcome.DROPPED_UNKNOWN_KEY: ("dropped", "unknown_key"),
    Outcome.DROPPED_NO_KEY: ("dropped", "no_key"),
    Outcome.MALFORMED: ("malformed", ""),
    Outcome.OVERFLOW: ("overflow", ""),
}
"""Outcome -> (outcome, reason), the labels of `pixelgate_hits_total`."""
