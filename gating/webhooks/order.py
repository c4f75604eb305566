"""Order: what an event still says once others are known. Pure; `carry.py` asks it about each event of a subscription.

Providers promise no order and repeat events (docs.stripe.com/webhooks#event-ordering, developer.paddle.com/webhooks/
respond-to-webhooks), so `judge` gives, for any order and repetition of the same events, the same `Known` at the end,
and every change of what is known to hold is given by the event that it stems from. What it promises, for one
subscription:
- **Payment.** A failure counts while its period ends no earlier than any period that is paid, and while no payment was
  made since (by the provider's time; of the same second the payment counts). It stands failed while one counts, else
  paid. Whatever the order, `payment_failed` or `payment_ok`, whichever was given last, is what stands.
- **Life.** Live, paused or ended: what the newest event says; of the same second the one that ends more.
- **Period.** Its end is the latest that was told, and never moves back: not by an old event, and not by a plan whose
  period is shorter either.

So an account whose status hangs on the last of these commands alone comes to the same status whatever the order. Not
promised: the instants of its changes (those are of when events were applied), and the status where a deadline or a
person moved the account in between. Failures outstanding beyond FAILURES_MAX are forgotten, oldest first.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Self

import orjson

FAILURES_MAX: Final = 16
"""Unpaid periods of one subscription that are told apart; providers give up after a handful of tries in one."""


class Means(StrEnum):
    """What an event says of its subscription."""

    PAID = "paid"
    FAILED = "failed"
    LIVE = "live"
    PAUSED = "paused"
    ENDED = "ended"
    PERIOD = "period"  # only until when it runs
    NOTICE = "notice"  # nothing that holds from now on


_LIFE: Final = {Means.LIVE: 0, Means.PAUSED: 1, Means.ENDED: 2}


@dataclass(frozen=True, slots=True)
class Fact:
    """What one event says. period_end_us: of what was paid or owed, or of the subscription; None where it tells none.

    Equal facts count once; two events that differ in their id alone are equal facts.
    """

    means: Means
    created_us: int
    period_end_us: int | None = None
    invoice: str = ""

    @property
    def owed_until_us(self) -> int:
        """The end of the period that a payment is for; one that names no period is taken to be for what is past."""
        return self.created_us if self.period_end_us is None else self.period_end_us


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one subscription by the events seen so far.

    paid_until_us: the latest period that was paid; paid_us: when the newest payment was. failures: (period's end, when)
    of failures that count, none of which both ends and happened before another. invoice: of the newest payment event.
    """

    paid_until_us: int = 0
    paid_us: int = 0
    failures: tuple[tuple[int, int], ...] = ()
    invoice: tuple[int, str] = (0, "")
    life: tuple[int, int] = (0, -1)
    period_end_us: int = 0
    noticed_us: int = 0
    seen_us: int = 0

    @property
    def payment(self) -> Means | None:
        """Whether it stands paid or failed; None where nobody told."""
        if self.failures:
            return Means.FAILED
        return Means.PAID if self.paid_us else None

    @property
    def is_live(self) -> bool:
        """Tell whether the newest word on it is that it lives: told so, or paid for and never ended."""
        return self.life[1] == _LIFE[Means.LIVE] or (self.life[1] < 0 and self.paid_us > 0)

    def to_json(self) -> str:
        """For the ledger's column."""
        return orjson.dumps(self).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Inverse of `to_json`."""
        fields = orjson.loads(text)
        fields["failures"] = tuple((end, at) for end, at in fields["failures"])
        fields["invoice"], fields["life"] = tuple(fields["invoice"]), tuple(fields["life"])
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is known with the event, and whether its command is to be given; `why` not, where it is not."""

    known: Known
    acts: bool
    why: str = ""


def judge(known: Known, fact: Fact) -> Judgement:
    """Take one event into account. Repeating it changes nothing and gives no command a second time."""
    before = known
    known = replace(known, seen_us=max(known.seen_us, fact.created_us))
    if fact.means in (Means.PAID, Means.FAILED):
        known = replace(known, invoice=max(known.invoice, (fact.created_us, fact.invoice)))
        return _payment(before, known, fact)
    if fact.period_end_us is not None:
        known = replace(known, period_end_us=max(known.period_end_us, fact.period_end_us))
    if fact.means in _LIFE:
        life = (fact.created_us, _LIFE[fact.means])
        if life <= before.life:
            return Judgement(known, False, "newer events have told what became of the subscription")
        return Judgement(replace(known, life=life), True)
    if fact.means is Means.NOTICE:
        if fact.created_us <= before.noticed_us:
            return Judgement(known, False, "a newer notice was given")
        return Judgement(replace(known, noticed_us=fact.created_us), True)
    if known.period_end_us == before.period_end_us:
        return Judgement(known, False, "the period's end is no later than what was told before")
    return Judgement(known, True)


def _payment(before: Known, known: Known, fact: Fact) -> Judgement:
    end_us, at_us = fact.owed_until_us, fact.created_us
    if fact.means is Means.PAID:
        known = replace(known, paid_until_us=max(before.paid_until_us, end_us), paid_us=max(before.paid_us, at_us))
        if fact.period_end_us is not None:
            known = replace(known, period_end_us=max(known.period_end_us, fact.period_end_us))
        failures = before.failures
    else:
        failures = (*before.failures, (end_us, at_us))
    known = replace(known, failures=_counting(failures, known))
    if fact.means is Means.FAILED:
        if known.failures == before.failures:
            return Judgement(known, False, "the period was paid, or a payment was made since, or it is known")
        return Judgement(known, True)
    if known.payment is not Means.PAID:
        return Judgement(known, False, "a later payment has failed")
    changed = (known.paid_until_us, known.paid_us, known.failures) != (
        before.paid_until_us, before.paid_us, before.failures
    )  # fmt: skip
    return Judgement(known, changed, "" if changed else "a payment of this period or a later one is known")


def _counting(failures: tuple[tuple[int, int], ...], known: Known) -> tuple[tuple[int, int], ...]:
    """The failures that count, without those that another outlives in both respects: they can decide nothing."""
    kept: list[tuple[int, int]] = []
    for end_us, at_us in sorted(set(failures), reverse=True):
        outlived = any(at_us <= later for _, later in kept)
        if end_us >= known.paid_until_us and at_us > known.paid_us and not outlived:
            kept.append((end_us, at_us))
    return tuple(kept[-FAILURES_MAX:])
