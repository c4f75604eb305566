"""Roles: which role may which verb, as which other roles it may act, and whose accounts it may know of. Pure.

The one place that decides it. What a command does to an account, and who may give it there, is its rulebook's word:
here only stands who may give commands at all. Data is read under the account's access besides (`usage.py`).
"""

from enum import StrEnum
from typing import Final

from gating.ledger import no_account
from gating.rest.caller import Caller
from gating.rest.errors import Forbidden
from gating.status import Role


class Verb(StrEnum):
    """What may be asked, in the words of a refusal."""

    SHOW = "looking at an account"
    HISTORY = "reading an account's history"
    USAGE = "reading an account's usage"
    CREATE = "creating accounts"
    COMMAND = "giving commands"
    MOVE = "moving accounts to other rulebooks"
    SHOW_KEYS = "looking at write keys"
    CHANGE_KEYS = "changing write keys"
    SHOW_PEOPLE = "looking at an account's people"
    CHANGE_PEOPLE = "changing an account's people"
    SHOW_TOKENS = "looking at tokens"
    CHANGE_TOKENS = "making and ending tokens"
    AUDIT = "reading every account's history"
    SHOW_EFFECTS = "looking at effects"
    CHANGE_EFFECTS = "retrying effects"
    SHOW_BILLING = "looking at billing events"
    CHANGE_BILLING = "changing what becomes of billing events"


OWNER, ADMIN, MEMBER, BILLING = Role.OWNER, Role.ADMIN, Role.MEMBER, Role.BILLING
SUPPORT, OPERATOR, AUDITOR = Role.SUPPORT, Role.OPERATOR, Role.AUDITOR

_PEOPLE: Final = frozenset({OWNER, ADMIN, MEMBER, BILLING})
_STAFF: Final = frozenset({SUPPORT, OPERATOR})

RIGHTS: Final[dict[Verb, frozenset[Role]]] = {
    Verb.SHOW: _PEOPLE | _STAFF | {AUDITOR},
    Verb.HISTORY: _PEOPLE | _STAFF | {AUDITOR},
    Verb.USAGE: _PEOPLE | _STAFF | {AUDITOR},
    Verb.CREATE: frozenset({OPERATOR}),
    Verb.COMMAND: _PEOPLE | _STAFF,
    Verb.MOVE: frozenset({OPERATOR}),
    Verb.SHOW_KEYS: _PEOPLE | _STAFF | {AUDITOR},
    Verb.CHANGE_KEYS: frozenset({OWNER, ADMIN}) | _STAFF,
    Verb.SHOW_PEOPLE: frozenset({OWNER, ADMIN, AUDITOR}) | _STAFF,
    Verb.CHANGE_PEOPLE: frozenset({OWNER, ADMIN}) | _STAFF,
    Verb.SHOW_TOKENS: frozenset({OWNER, ADMIN, OPERATOR, AUDITOR}),
    Verb.CHANGE_TOKENS: frozenset({OWNER, ADMIN, OPERATOR}),
    Verb.AUDIT: frozenset({OPERATOR, AUDITOR}),
    Verb.SHOW_EFFECTS: frozenset({AUDITOR}) | _STAFF,
    Verb.CHANGE_EFFECTS: _STAFF,
    Verb.SHOW_BILLING: frozenset({BILLING, AUDITOR}) | _STAFF,
    Verb.CHANGE_BILLING: frozenset({BILLING, OPERATOR}),
}

ACTS_AS: Final[dict[Role, frozenset[Role]]] = {
    OWNER: frozenset({OWNER, ADMIN, MEMBER}),
    ADMIN: frozenset({ADMIN, MEMBER}),
    MEMBER: frozenset({MEMBER}),
    BILLING: frozenset({BILLING}),
    # Not as an owner: a rulebook may want an owner's request recorded, and who acts as one needs none.
    SUPPORT: frozenset({SUPPORT}),
    OPERATOR: frozenset({OWNER, ADMIN, MEMBER, BILLING, SUPPORT, OPERATOR}),
    AUDITOR: frozenset(),
}
"""As whom a role may act, `as`; nobody above itself."""

GIVES: Final[dict[Role, frozenset[Role]]] = {
    OWNER: ACTS_AS[OWNER],
    ADMIN: ACTS_AS[ADMIN],
    SUPPORT: frozenset({OWNER, ADMIN, MEMBER}),
    OPERATOR: ACTS_AS[OPERATOR] | {AUDITOR},
}
"""Which roles a role may give to a person or a token, and take away again. Support names an account's people; it makes
no tokens."""

_OVER_ALL: Final = frozenset({Verb.CREATE, Verb.MOVE, Verb.AUDIT, Verb.SHOW_BILLING, Verb.CHANGE_BILLING})
"""What is done over all accounts: no token of one account has a right to it."""


def verbs_of(caller: Caller) -> list[Verb]:
    """What the caller's role may, on whatever account they may know of."""
    return [verb for verb in Verb if caller.role in RIGHTS[verb] and not (caller.account and verb in _OVER_ALL)]


def demand(caller: Caller, verb: Verb, account: str | None = None) -> None:
    """Raises Forbidden where the caller's role may not; NotFound, as for an account that there is not, where it is not
    theirs. The role counts first, so that a refusal tells nothing of the account."""
    may = RIGHTS[verb]
    if verb not in verbs_of(caller):
        whom = "who act for all accounts" if caller.role in may else ", ".join(sorted(may))
        raise Forbidden(f"{verb} is not open to role {caller.role}; it is to: {whom}")
    if account is not None:
        demand_own(caller, account)


def demand_own(caller: Caller, account: str) -> None:
    """Raises NotFound, as for an account that there is not, for one that is not the caller's."""
    if caller.account is not None and caller.account != account:
        raise no_account(account)


def acting(caller: Caller, role: Role | None) -> Role:
    """The role that the caller acts in: their own, or the one asked for. Raises Forbidden for one above their own."""
    wanted = role or caller.role
    if wanted not in ACTS_AS[caller.role]:
        may = ", ".join(sorted(ACTS_AS[caller.role])) or "nobody"
        raise Forbidden(f"a token of role {caller.role} may not act as {wanted}; it may as: {may}")
    return wanted


def demand_gives(caller: Caller, role: Role) -> None:
    """Raises Forbidden where the caller may not give that role to a person or token, nor take it away."""
    may = GIVES.get(caller.role, frozenset())
    if role not in may:
        raise Forbidden(f"role {role} is not {caller.role}'s to give; these are: {', '.join(sorted(may)) or 'none'}")
