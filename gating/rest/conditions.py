"""Conditions: what must hold in a change's own transaction: the account's version (`If-Match`), and that the request
was not carried out before (`Idempotency-Key`).

The answer is kept in the transaction that makes the change, so a kill between commit and answer costs nobody a second
change: whoever asks again finds it. What is kept is what the change came to; whether every worker enforces it is asked
anew each time, since only that is true.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Any, Final

import orjson

from gating.clock import Clock
from gating.commits import Change
from gating.feed import StatusChange
from gating.ledger import AccountRow, Transaction, idempotency
from gating.ledger.idempotency import Answered
from gating.lifecycle import has_come
from gating.rest.errors import KeyReused, VersionChanged
from gating.views import Document

_TAG: Final = re.compile(r'"[\x21\x23-\x7e]*"')


def tag_of(row: AccountRow, now_us: int, known_us: int | None) -> str | None:
    """The entity tag of an account: its version in quotes. None while a deadline that has come is not recorded yet: the
    account is no longer what that version was. known_us: as `lifecycle.has_come` takes it."""
    return None if has_come(row.account, now_us, known_us) else f'"{row.version}"'


def matches(if_match: str, tag: str | None) -> bool:
    """Tell whether a condition names the tag (RFC 9110, 13.1.1). Weak tags match nothing, as what does not read."""
    wanted = [text.strip() for text in if_match.split(",")]
    if wanted == ["*"]:
        return True
    return tag is not None and tag in (text for text in wanted if _TAG.fullmatch(text))


def digest_of(method: str, path: str, body: dict[str, Any]) -> bytes:
    """What tells one request from another, however its JSON was written."""
    return hashlib.sha256(orjson.dumps([method, path, body], option=orjson.OPT_SORT_KEYS)).digest()


@dataclass(frozen=True, slots=True)
class Once:
    """A key of the caller's. scope: whose it is. request: the digest of what is asked."""

    scope: str
    key: str
    request: bytes


class Conditions:
    """What surrounds one request's change; `replayed` once it ran: whether the answer is one that was kept.

    account: whose version `if_match` is of; None where the change makes the account.
    """

    def __init__(self, clock: Clock, once: Once | None, account: str | None, if_match: str | None) -> None:
        self._clock = clock
        self._once = once
        self._account = account
        self._if_match = if_match
        self.replayed = False

    def __call__(self, change: Change) -> Change:
        """The change, where the conditions hold. It raises KeyReused, VersionChanged, and what `change` does."""

        def framed(transaction: Transaction) -> tuple[Document, list[StatusChange]]:
            kept = self._kept(transaction)
            self.replayed = kept is not None  # the whole may be run again: nothing of an earlier run counts
            if kept is not None:
                return kept, []
            self._check_version(transaction)
            document, changes = change(transaction)
            if self._once is not None:
                self._keep(transaction, self._once, document)
            return document, changes

        return framed

    def _kept(self, transaction: Transaction) -> Document | None:
        if self._once is None:
            return None
        found = idempotency.find(transaction.connection, self._once.scope, self._once.key)
        if found is None:
            return None
        if found.request != self._once.request:
            raise KeyReused
        return found.answer

    def _check_version(self, transaction: Transaction) -> None:
        if self._if_match is None or self._account is None:
            return
        row, now_us = transaction.account(self._account), self._clock.now_us()
        tag = tag_of(row, now_us, transaction.activity(self._account, now_us).known_us)
        if matches(self._if_match, tag):
            return
        stands = f"at version {row.version}" if tag else f"past a deadline after version {row.version}"
        raise VersionChanged(
            f"account {self._account!r} is {stands}, not at the one that If-Match names: look at it again; "
            "nothing was changed"
        )

    def _keep(self, transaction: Transaction, once: Once, document: Document) -> None:
        account = str(document.get("account") or self._account or "")
        answered = Answered(once.request, document)
        idempotency.keep(
            transaction.connection, once.scope, once.key, answered, account=account, at_us=self._clock.now_us()
        )
