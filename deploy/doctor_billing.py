"""Doctor's look at billing webhooks: are they taken, and is what they told applied.

Called by `pixelgate doctor`. Reads the ledger alone: no provider is asked anything.
"""

import time
from collections.abc import Collection, Mapping
from typing import Final

from deploy.check import FAIL, OK, WARN, Check
from deploy.settings import load
from gating.config import GatingSettings, LedgerSettings
from gating.datadir import DataDirectory
from gating.errors import PixelgateError
from gating.ledger import Ledger, ledger_url
from gating.ledger.events import State, oldest_pending_us, providers_of_customers, standing_of
from gating.status import SECOND_US
from gating.webhooks.webhooks import secrets_of

NAME: Final = "billing"
PENDING_SECONDS: Final = 60.0
"""Events are applied at once, a thousand in seconds."""


def billing(directory: DataDirectory) -> Check:
    """Whose webhooks are taken, and whether what they told is applied."""
    taken = sorted(secrets_of(load(GatingSettings)))
    url = ledger_url(directory, LedgerSettings().database_url)
    if not Ledger.exists(url):
        return assess(taken, (), {}, 0.0)
    try:
        with Ledger.open_reading(url) as opened:
            oldest_us, states, used = opened.look(
                lambda connection: (
                    oldest_pending_us(connection), standing_of(connection), providers_of_customers(connection),
                )
            )  # fmt: skip
    except PixelgateError:  # a role that reads may not read what providers told; the check of the ledger tells the rest
        return Check(NAME, OK, f"{_taken(taken)}; what waits cannot be read from here")
    return assess(taken, used, states, 0.0 if oldest_us is None else time.time() - oldest_us / SECOND_US)


def assess(taken: Collection[str], used: Collection[str], states: Mapping[State, int], waited_seconds: float) -> Check:
    """The finding; pure. taken: providers with a secret. used: those that accounts pay by."""
    words, advice, result = [_taken(taken)], [], OK
    if without := sorted(set(used) - set(taken)):
        words.append(f"accounts pay by {', '.join(without)}, whose secret is not set")
        advice.append(
            f"set PIXELGATE_{without[0].upper()}_SECRET where the gating service runs, or its webhooks are lost"
        )
        result = WARN
    if left := [f"{states[state]} {state}" for state in (State.FAILED, State.PARKED) if states.get(state)]:
        words += left
        advice.append("see `pixelgate billing events --state parked` (or failed)")
        result = WARN
    if waited_seconds > PENDING_SECONDS:
        words.append(f"the oldest event waits for {waited_seconds:.0f} s")
        advice.append("start the gating service, or see its log")
        result = FAIL
    return Check(NAME, result, "; ".join(words), "; ".join(advice))


def _taken(taken: Collection[str]) -> str:
    return f"webhooks of {', '.join(taken)}" if taken else "no provider's secret is set: no webhooks are taken"
