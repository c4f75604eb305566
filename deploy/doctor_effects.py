"""Doctor's look at effects: does what decisions owe to the world get there, and is there a way for it.

Called by `pixelgate doctor`. Reads the ledger alone: no receiver or mail server is asked anything.
"""

import time
from collections.abc import Iterable
from typing import Final

from sqlalchemy import select

from deploy.check import FAIL, OK, WARN, Check
from deploy.settings import load
from gating.config import GatingSettings, LedgerSettings
from gating.datadir import DataDirectory
from gating.errors import PixelgateError
from gating.ledger import Ledger, ledger_url
from gating.ledger.effects import Sums
from gating.ledger.tables import rulebooks
from gating.policy import parse_rulebook
from gating.rulebook import Policy
from gating.status import SECOND_US

NAME: Final = "effects"
LATE_SECONDS: Final = 3600.0
"""By then a try has failed a dozen times; what waits for its own moment is not late before that."""


def effects(directory: DataDirectory) -> Check:
    """Whether effects are carried out, and whether notices have a way to people."""
    url = ledger_url(directory, LedgerSettings().database_url)
    if not Ledger.exists(url):
        return Check(NAME, OK, "none is owed")
    try:
        with Ledger.open_reading(url) as opened:
            sums = opened.effects.sums()
            texts = opened.look(lambda connection: connection.execute(select(rulebooks.c.name, rulebooks.c.text)).all())
    except PixelgateError:  # a role that reads may not read what is owed; the check of the ledger tells the rest
        return Check(NAME, OK, "what is owed cannot be read from here")
    return assess(sums, whom_told(_parsed(texts)), load(GatingSettings), time.time())


def assess(sums: dict[str, Sums], told: frozenset[str], settings: GatingSettings, now_seconds: float) -> Check:
    """The finding; pure. told: to whom the accounts' rulebooks have notices sent, such as `owners`."""
    owed, dead = sum(one.owed for one in sums.values()), sum(one.dead for one in sums.values())
    oldest_us = min((one.oldest_due_us for one in sums.values() if one.oldest_due_us is not None), default=None)
    late_seconds = 0.0 if oldest_us is None else now_seconds - oldest_us / SECOND_US
    words, advice, result = [f"{owed} owed"], [], OK
    if dead:
        words.append(f"{dead} given up")
        advice.append("see `pixelgate effects dead`, mend the cause, then `pixelgate effects retry ID`")
        result = WARN
    if missing := _missing(told, settings):
        words.append(missing)
        advice.append("set PIXELGATE_SMTP_URL and PIXELGATE_MAIL_FROM, or PIXELGATE_WEBHOOK_URL: docs/effects.md")
        result = WARN
    if late_seconds > LATE_SECONDS:
        words.append(f"the oldest is due since {late_seconds / 3600:.1f} h")
        advice.append("is the gating service running? `pixelgate effects list` tells each one's last error")
        result = FAIL
    return Check(NAME, result, "; ".join(words), "; ".join(advice))


def whom_told(policies: Iterable[Policy]) -> frozenset[str]:
    """To whom these rulebooks have notices sent."""
    rules = [
        rule
        for policy in policies
        for several in (
            *(row.effects for rows in policy.commands.values() for row in rows), *policy.lapse_effects.values(),
        )
        for rule in several
    ]  # fmt: skip
    return frozenset(str(rule.arguments.get("whom", "")) for rule in rules if rule.name == "notify")


def _missing(told: frozenset[str], settings: GatingSettings) -> str:
    if settings.webhook_url or not told:
        return ""
    if not settings.smtp_url:
        return f"notices to {', '.join(sorted(told))} go to a file alone: no mail server and no webhook is set"
    if not settings.mail_from:
        return "PIXELGATE_MAIL_FROM is not set: no mail can be sent"
    if "operators" in told and not settings.operators_mail:
        return "notices to operators go nowhere: PIXELGATE_OPERATORS_MAIL is not set"
    return ""


def _parsed(texts: Iterable[tuple[str, str]]) -> list[Policy]:
    """Those that this release can read."""
    found = []
    for name, text in texts:
        try:
            found.append(parse_rulebook(text, name))
        except PixelgateError:
            continue  # no account of it can be shown either: the gating service tells
    return found
