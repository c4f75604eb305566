"""Bearer tokens as the ledger keeps them, reached as `Ledger.tokens`; a secret never comes here."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self, TypeVar

from sqlalchemy import Connection, Row, bindparam, func, insert, or_, select, update

from gating.errors import NotFound, Refused
from gating.ledger.retry import noted
from gating.ledger.rows import no_account
from gating.ledger.store import Store
from gating.ledger.tables import accounts, people, tokens
from gating.status import Role, Status

T = TypeVar("T")

TOKENS_MAX: Final = 10_000
"""Tokens of one ledger, revoked ones too: a list of them is read whole."""


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token without its secret. account: the one it acts for; None for all. person: an id, never a name."""

    id: str
    role: Role
    account: str | None
    person: str | None
    permissions: tuple[str, ...]
    created_at_us: int
    expires_at_us: int | None
    revoked_at_us: int | None = None
    used_at_us: int | None = None

    @classmethod
    def of(cls, row: Row[Any]) -> Self:
        """From a row of the table."""
        return cls(
            row.id, Role(row.role), row.account, row.person, tuple(json.loads(row.permissions)), row.created_at_us,
            row.expires_at_us, row.revoked_at_us, row.used_at_us,
        )  # fmt: skip

    def holds(self, now_us: int) -> bool:
        """Whether it lets anybody in at that time."""
        return self.revoked_at_us is None and (self.expires_at_us is None or now_us < self.expires_at_us)


class TokenRows:
    """One ledger's tokens. Any method may raise Unreachable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, token: TokenRow, digest: bytes) -> None:
        """Keep a new token under its secret's digest. Raises NotFound (account), Refused beyond TOKENS_MAX."""

        def work(connection: Connection) -> None:
            if token.account is not None:
                demand_account(connection, token.account)
            if connection.execute(select(func.count()).select_from(tokens)).scalar_one() >= TOKENS_MAX:
                raise Refused(f"this ledger has {TOKENS_MAX} tokens, the most it keeps")
            connection.execute(
                insert(tokens).values(
                    id=token.id, digest=digest, role=token.role.value, account=token.account, person=token.person,
                    permissions=json.dumps(token.permissions), created_at_us=token.created_at_us,
                    expires_at_us=token.expires_at_us,
                )
            )  # fmt: skip

        noted(self._store, work)

    def revoke(self, token: str, at_us: int) -> TokenRow:
        """End it for good; one that was revoked before keeps its time. Raises NotFound."""
        mine = tokens.c.id == token

        def work(connection: Connection) -> TokenRow:
            connection.execute(update(tokens).where(mine, tokens.c.revoked_at_us.is_(None)).values(revoked_at_us=at_us))
            row = connection.execute(select(tokens).where(mine)).first()
            if row is None:
                raise no_token(token)
            return TokenRow.of(row)

        return noted(self._store, work)

    def all(self) -> list[TokenRow]:
        """All tokens, ended ones too, oldest first."""
        return self._listed(select(tokens).order_by(tokens.c.created_at_us, tokens.c.id))

    def of(self, digest: bytes) -> TokenRow | None:
        """The token whose secret has this digest, ended or not; None where there is none."""
        found = self._listed(select(tokens).where(tokens.c.digest == digest))
        return found[0] if found else None

    def acting(self, digest: bytes) -> TokenRow | None:
        """The token whose secret has this digest, ended or not, as long as whom it stands for is there: None too for
        one of somebody who left the account, or of an account that is DELETED."""
        theirs = (people.c.id == tokens.c.person) & (people.c.account == tokens.c.account)
        wanted = (
            select(tokens)
            .select_from(tokens.outerjoin(people, theirs).outerjoin(accounts, accounts.c.id == tokens.c.account))
            .where(tokens.c.digest == digest, people.c.removed_at_us.is_(None))
            .where(or_(accounts.c.id.is_(None), accounts.c.status != Status.DELETED.value))
        )
        found = self._listed(wanted)
        return found[0] if found else None

    def get(self, token: str) -> TokenRow | None:
        """The token with this id, ended or not; None where there is none."""
        found = self._listed(select(tokens).where(tokens.c.id == token))
        return found[0] if found else None

    def note_used(self, used: Mapping[str, int]) -> None:
        """Note when tokens (by id) were last used; a time never goes back."""
        later = or_(tokens.c.used_at_us.is_(None), tokens.c.used_at_us < bindparam("at_us"))
        going = update(tokens).where(tokens.c.id == bindparam("token"), later).values(used_at_us=bindparam("at_us"))
        rows = [{"token": token, "at_us": at_us} for token, at_us in sorted(used.items())]
        if rows:
            noted(self._store, lambda connection: connection.execute(going, rows))

    def _listed(self, wanted: Any) -> list[TokenRow]:
        with self._store.reading() as connection:
            return [TokenRow.of(row) for row in connection.execute(wanted)]


def demand_account(connection: Connection, account: str) -> None:
    """Raises NotFound for an account that there is not."""
    if connection.execute(select(accounts.c.id).where(accounts.c.id == account)).first() is None:
        raise no_account(account)


def no_token(token: str) -> NotFound:
    """What to tell whoever asks for a token that there is not."""
    return NotFound(f"there is no token {token[:80]!r}; `pixelgate token list` shows those there are")
