"""Rows: what both forms' readers ask with, and how they read an event back.

Pure. The statements of both are worded so that they take the same values and give the same columns.
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Final

import orjson

from collector.event import Event
from consumers.warehouse.protocol import GROUPS_MAX, Audience, Period, View
from gating.status import Verdict

VERDICT_COLUMN: Final = [field.name for field in fields(Event)].index("verdict")
PARAMS_COLUMN: Final = [field.name for field in fields(Event)].index("params")


def values_of(view: View, period: Period) -> dict[str, Any]:
    """What a statement may ask for, by name."""
    return {
        "account": view.account,
        "keys": list(view.keys),
        "revealed": view.revealed_version,
        "from_us": period.from_us,
        "to_us": period.to_us,
        "hidden_too": view.audience is Audience.OPERATOR,
        "groups_max": GROUPS_MAX,
    }


def event_of(row: Sequence[Any]) -> Event:
    """The event of one row of `scan` or `unannounced`, whose columns stand in the order of Event's fields."""
    values = list(row)
    values[VERDICT_COLUMN] = Verdict(values[VERDICT_COLUMN])
    values[PARAMS_COLUMN] = orjson.loads(values[PARAMS_COLUMN])
    return Event(*values)
