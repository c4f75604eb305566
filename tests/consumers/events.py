"""Events made by hand, and batches of them."""

from collections.abc import Sequence
from typing import Any

from collector.event import Event
from consumers.source import Part
from gating.status import Verdict

JOURNAL = "ab" * 16
T0 = 1_700_000_000_000_000  # 2023-11-14T22:13:20Z
SECOND, DAY = 1_000_000, 86_400_000_000
ACCEPT, HIDE, DROP = Verdict.ACCEPT, Verdict.HIDE, Verdict.DROP


def event(sequence: int, journal: str = JOURNAL, **fields: Any) -> Event:
    values: dict[str, Any] = {
        "received_at": T0 + sequence,
        "account": "shop",
        "write_key": "key",
        "verdict": ACCEPT,
        "verified": True,
        "version": 1,
        "name": "page_view",
        "tracker": "pixel",
        "params": {},
    }
    absent = ("url", "referrer", "visitor", "user", "client_time", "client_id", "ip", "user_agent", "language")
    return Event(id=f"{journal}-{sequence}", **{**dict.fromkeys(absent), **values, **fields})


def part(events: Sequence[Event], journal: str = JOURNAL) -> Part:
    sequences = [int(event.id.partition("-")[2]) for event in events]
    return Part(journal, max(sequences, default=0), list(events), sequences)
