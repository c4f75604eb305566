"""Reports: an account's figures, in the shape that CONTRACT fixes.

Plain functions over what was decided (`View`) and what is stored (`WarehouseReader`); the server and the command line
call them. Must not look past the view: what an account may see was settled before the first row is read (I11).

An account is refused only where its access is NONE. EXPORT serves reports too: they tell nothing that the export it
is entitled to would not.
"""

from typing import Any

from consumers.errors import AccessDenied
from consumers.moments import ALWAYS, month_before
from consumers.warehouse.protocol import Audience, Period, View, WarehouseReader
from gating.status import Access


def check_access(view: View) -> None:
    """Raise AccessDenied where the view is the account's own and its status gives it none; operators always may."""
    if view.audience is Audience.ACCOUNT and view.access is Access.NONE:
        raise AccessDenied(view.account)


def report(reader: WarehouseReader, view: View, period: Period, now_us: int) -> dict[str, Any]:
    """Return the report over `period`. Raises AccessDenied, WarehouseFailed.

    Groups and visitors count visible events, whoever asks; only operators are told how many more are hidden or
    unverified. `mtu`: distinct visitors of the calendar month (UTC) that `period` ends in, the present one where it is
    open: of kept events, hidden ones too, for an operator, and of visible ones for the account, whom the difference
    would tell about hidden ones. `mtu_included`: what the account's plan includes, None where its rulebook says no
    number; `mtu_overage`: what goes beyond it, as the reader's `mtu` counts.
    """
    check_access(view)
    ends_us = now_us + 1 if period.to_us == ALWAYS.to_us else period.to_us
    counts = reader.counts(view, period, month_before(ends_us))
    events = {"visible": counts.visible}
    if view.audience is Audience.OPERATOR:
        events |= {"hidden": counts.hidden, "unverified": counts.unverified}
    return {
        "account": view.account,
        "access": view.access.value,
        "events": events,
        "by_name": [{"name": value, "events": events} for value, events in counts.by_name],
        "by_day": [{"day": value, "events": events} for value, events in counts.by_day],
        "by_page": [{"page": value, "events": events} for value, events in counts.by_page],
        "by_referrer": [{"referrer": value, "events": events} for value, events in counts.by_referrer],
        "visitors": counts.visitors,
        "mtu": counts.mtu,
        "mtu_included": view.allowance,
        "mtu_overage": None if view.allowance is None else max(counts.mtu - view.allowance, 0),
    }
