"""People and tokens of a ledger, as verbs with documents: who belongs to an account, and who may sign in.

Called by the local API. Reads and writes run where the service runs its own.
"""

import secrets
from collections.abc import Sequence

from gating.clock import Clock
from gating.errors import InputInvalid
from gating.ledger import Ledger, PersonRow, TokenRow
from gating.status import Role
from gating.times import rfc3339
from gating.token import ACCOUNT_ROLES, checked_permissions, demand_scope, new_token, token_digest
from gating.views import Document


def new_person(account: str, role: Role, email: str | None, permissions: Sequence[str], now_us: int) -> PersonRow:
    """Somebody new in an account. Raises InputInvalid for a role that is none of an account's, or a bad address."""
    if role not in ACCOUNT_ROLES:
        raise InputInvalid(f"role {role.value!r}: an account's people are {', '.join(sorted(ACCOUNT_ROLES))}")
    return PersonRow(
        f"person-{secrets.token_hex(8)}", account, role, checked_permissions(role, permissions), email, now_us
    )  # fmt: skip


class People:
    """The verbs; each blocks for one read or commit."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    def add(self, account: str, role: Role, email: str | None, permissions: Sequence[str]) -> Document:
        """Add somebody to an account. Raises NotFound, InputInvalid, Refused."""
        person = new_person(account, role, email, permissions, self._clock.now_us())
        self._ledger.change(lambda transaction: transaction.add_person(person))
        return person_view(person)

    def of(self, account: str) -> list[Document]:
        """Who belongs to the account. Raises NotFound."""
        return [person_view(person) for person in self._ledger.people(account)]

    def remove(self, account: str, person: str) -> Document:
        """Take somebody out of an account. Raises NotFound."""
        self._ledger.remove_person(account, person, self._clock.now_us())
        return {"account": account, "person": person, "removed": True}

    def create_token(
        self,
        role: Role,
        account: str | None,
        person: str | None,
        permissions: Sequence[str],
        expires_seconds: float | None,
    ) -> Document:
        """A new token; its secret stands in this answer alone. Raises InputInvalid, NotFound, Refused."""
        demand_scope(role, account)
        now_us = self._clock.now_us()
        secret = new_token()
        digest = token_digest(secret)
        if digest is None:
            raise RuntimeError("a token was made that does not read as one")
        expires_us = None if expires_seconds is None else now_us + int(expires_seconds * 1e6)
        named = checked_permissions(role, permissions)
        token = TokenRow(f"token-{secrets.token_hex(8)}", role, account, person, named, now_us, expires_us)
        self._ledger.tokens.add(token, digest)
        return {**self.token_view(token), "token": secret}

    def tokens(self) -> list[Document]:
        """All tokens without their secrets."""
        return [self.token_view(token) for token in self._ledger.tokens.all()]

    def revoke_token(self, token: str) -> Document:
        """End a token. Raises NotFound."""
        return self.token_view(self._ledger.tokens.revoke(token, self._clock.now_us()))

    def token_view(self, token: TokenRow) -> Document:
        """A token without its secret."""
        return {
            "id": token.id, "role": token.role, "account": token.account, "person": token.person,
            "permissions": list(token.permissions), "created_at": rfc3339(token.created_at_us),
            "expires_at": _time(token.expires_at_us), "revoked_at": _time(token.revoked_at_us),
            "used_at": _time(token.used_at_us),
            "holds": token.holds(self._clock.now_us()),
        }  # fmt: skip


def _time(at_us: int | None) -> str | None:
    return None if at_us is None else rfc3339(at_us)


def person_view(person: PersonRow) -> Document:
    """Somebody of an account."""
    return {
        "person": person.id, "account": person.account, "role": person.role,
        "permissions": list(person.permissions), "email": person.email, "created_at": rfc3339(person.created_at_us),
    }  # fmt: skip
