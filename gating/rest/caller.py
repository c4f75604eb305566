"""Caller: who asks, as their token says; and how that stands in the history. Pure."""

from dataclasses import dataclass
from typing import Self

from gating.actor import Channel, actor_of
from gating.ledger import TokenRow, Who
from gating.status import Role


@dataclass(frozen=True, slots=True)
class Caller:
    """token: its id. account: the only one they may know of; None for all. person: whom the token stands for."""

    token: str
    role: Role
    account: str | None
    person: str | None
    permissions: frozenset[str]

    @classmethod
    def of(cls, token: TokenRow) -> Self:
        """Whoever holds that token."""
        return cls(token.id, token.role, token.account, token.person, frozenset(token.permissions))

    @property
    def actor(self) -> str:
        """`api:TOKEN`, or `api:PERSON:TOKEN`."""
        return actor_of(Channel.API, *([self.person] if self.person else ()), self.token)

    def who(self, role: Role | None = None, on_behalf: str | None = None) -> Who:
        """For the history."""
        return Who(self.actor, role or self.role, on_behalf)
