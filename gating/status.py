"""The vocabulary of the account lifecycle, shared by every package.

Imported by the collector's hot path and by every consumer, so it loads the standard library alone. It names things and
decides nothing: what a status means for an account is its rulebook's word (`policy.py`, `lifecycle.py`).
"""

from enum import IntEnum, StrEnum
from typing import Final, NewType


class Status(StrEnum):
    """Where an account stands in its life. DELETED is final: a tombstone that nothing leaves (I8)."""

    TRIAL = "TRIAL"
    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    ON_HOLD = "ON_HOLD"
    FROZEN = "FROZEN"
    SUSPENDED = "SUSPENDED"
    CANCELING = "CANCELING"
    CANCELED = "CANCELED"
    DELETION_REQUESTED = "DELETION_REQUESTED"
    DELETION_SCHEDULED = "DELETION_SCHEDULED"
    DELETED = "DELETED"


class Verdict(IntEnum):
    """What happens to a hit. The numbers stand in journals: they never change."""

    ACCEPT = 1  # kept, visible to the account
    HIDE = 2  # kept, unseen by the account until it re-enrols
    DROP = 3  # answered, never kept


class Access(StrEnum):
    """What an account may do with the data it can see."""

    FULL = "FULL"
    EXPORT = "EXPORT"
    NONE = "NONE"


class Role(StrEnum):
    """Who carries out a command. SYSTEM is the sweeper or a billing webhook; the others are people."""

    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"
    BILLING = "billing"
    SUPPORT = "support"
    OPERATOR = "operator"
    AUDITOR = "auditor"
    SYSTEM = "system"


Command = NewType("Command", str)
"""A rulebook's word for what may be asked of an account, such as `pause`; each rulebook declares its own."""

LAPSE: Final = Command("lapse")
"""How a deadline that has come is written in the history: nobody asked, time did."""

SECOND_US: Final = 1_000_000
DAY_US: Final = 24 * 3600 * SECOND_US
"""A day is 24 hours from the instant, in microseconds. All times are microseconds UTC."""
