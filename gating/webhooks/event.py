"""Events: one webhook's body as its provider's mapping reads it. Pure.

`receive.py` reads the envelope before it stores, `carry.py` the whole when it applies. What a body lacks is None: only
an envelope that does not read is an error, since it could not even be stored under an id.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from gating.errors import InputInvalid
from gating.webhooks import paths
from gating.webhooks.mapping import Paths, Provider, Rule
from gating.webhooks.order import Fact

_ACCOUNT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""As the ledger takes ids (`ledger/transaction.py`): whatever else a provider's customer wrote there is none."""
_EVENT_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_AMOUNT: Final = re.compile(r"-?[0-9]{1,18}")
_CURRENCY: Final = re.compile(r"[A-Za-z]{3}")


@dataclass(frozen=True, slots=True)
class Event:
    """A body that reads. document: the object the event is of."""

    provider: Provider
    id: str
    type: str
    created_us: int
    document: Any
    rule: Rule | None
    account: str | None
    customer: str | None
    subscription: str | None

    @property
    def fact(self) -> Fact | None:
        """What it says of its subscription; None where it says nothing, or of none."""
        if self.rule is None or self.subscription is None:
            return None
        where = self.provider.objects[self.rule.object]
        invoice = paths.text(self.document, where.invoice) or ""
        return Fact(self.rule.means, self.created_us, paths.moment_us(self.document, where.period_end), invoice)

    def value(self, name: str) -> str | None:
        """What the command may be given under that name."""
        return None if self.rule is None else paths.text(self.document, self.rule.values.get(name, ()))


@dataclass(frozen=True, slots=True)
class Payment:
    """What is kept of a payment for the books. amount: in the currency's smallest unit, cents or yen.

    email: at the time of the payment, None where the event does not carry it. currency: ISO 4217, capital letters.
    """

    provider: str
    transaction: str
    amount: int
    currency: str
    at_us: int
    email: str | None


def read(provider: Provider, body: bytes) -> Event:
    """Read a body. Raises InputInvalid where it is no JSON object with an id, a type and a time."""
    try:
        envelope = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InputInvalid(f"the body is no JSON: {error.msg}") from error
    if not isinstance(envelope, dict):
        raise InputInvalid("the body is no JSON object")
    event_id, type_ = (paths.text(envelope, [path]) for path in (provider.id, provider.type))
    created_us = paths.moment_us(envelope, [provider.created])
    if event_id is None or not _EVENT_ID.fullmatch(event_id):
        raise InputInvalid(f"{provider.id!r} is no event id")
    if type_ is None or created_us is None:
        raise InputInvalid(f"{provider.type if type_ is None else provider.created!r} is missing or does not read")
    document = next(paths.found(envelope, provider.object), None)
    before = None if provider.before is None else next(paths.found(envelope, provider.before), None)
    rule = _rule(provider, type_, document, before)
    where = tuple(provider.objects.values()) if rule is None else (provider.objects[rule.object],)
    account = next((word for one in where if (word := paths.text(document, one.account))), None)
    customer = next((word for one in where if (word := paths.text(document, one.customer))), None)
    subscription = None if rule is None else paths.text(document, where[0].subscription)
    if account is not None and not _ACCOUNT.fullmatch(account):
        account = None
    return Event(provider, event_id, type_, created_us, document, rule, account, customer, subscription)


def payment_of(event: Event) -> Payment | None:
    """The payment that an event tells of; None where it tells of none, or not of all that the books need."""
    where = event.provider.payment
    if event.type not in where.types:
        return None
    transaction = paths.text(event.document, where.transaction)
    amount, currency = paths.text(event.document, where.amount), paths.text(event.document, where.currency)
    if transaction is None or amount is None or not _AMOUNT.fullmatch(amount) or not int(amount):
        return None  # a trial's invoice over nothing is no payment
    if currency is None or not _CURRENCY.fullmatch(currency):
        return None
    at_us = paths.moment_us(event.document, where.at) or event.created_us
    email = paths.text(event.document, where.email)
    return Payment(event.provider.name, transaction, int(amount), currency.upper(), at_us, email)


def _rule(provider: Provider, type_: str, document: Any, before: Any) -> Rule | None:
    """The first rule of the type that all of its conditions hold for."""
    for rule in provider.rules.get(type_, ()):
        if _holds(rule.when, document) and _holds(rule.before, before):
            return rule
    return None


def _holds(conditions: Mapping[str, Paths], document: Any) -> bool:
    return all(paths.text(document, [path]) in texts for path, texts in conditions.items())
