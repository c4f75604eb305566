"""Token: what a bearer token looks like, and which role, account and permissions one may carry. Pure.

Called by the ledger's tokens and people. A token is 256 random bits behind a prefix that secret scanners can look for,
and a CRC-32 that tells a mistyped one without asking the ledger. It is kept as its SHA-256 alone: no slow hash is
needed, since nobody can try 2^256 secrets.
"""

import hashlib
import re
import secrets
import zlib
from collections.abc import Iterable
from typing import Final

from gating.errors import InputInvalid
from gating.status import Role

PREFIX: Final = "pixelgate_"
_TOKEN: Final = re.compile(PREFIX + r"[A-Za-z0-9_-]{43}[0-9a-f]{8}")

ACCOUNT_ROLES: Final = frozenset({Role.OWNER, Role.ADMIN, Role.MEMBER, Role.BILLING})
"""Roles of an account's own people; the others act for all accounts."""

PERMISSIONS: Final = frozenset({"billing"})
"""What a member may be permitted beside what every member may."""


def new_token() -> str:
    """A fresh token, to be shown once."""
    body = PREFIX + secrets.token_urlsafe(32)
    return body + _checksum(body)


def token_digest(token: str) -> bytes | None:
    """The SHA-256 that the token is kept under; None for a text that was never a token."""
    if not _TOKEN.fullmatch(token) or _checksum(token[:-8]) != token[-8:]:
        return None
    return hashlib.sha256(token.encode()).digest()


def checked_permissions(role: Role, permissions: Iterable[str]) -> tuple[str, ...]:
    """The permissions by name, each once. Raises InputInvalid for an unknown one, or a role that takes none."""
    named = tuple(sorted(set(permissions)))
    unknown = [name for name in named if name not in PERMISSIONS]
    if unknown:
        raise InputInvalid(f"permission {unknown[0][:80]!r}: there is {', '.join(sorted(PERMISSIONS))}")
    if named and role is not Role.MEMBER:
        raise InputInvalid(f"role {role.value!r} takes no permission: a member alone does")
    return named


def demand_scope(role: Role, account: str | None) -> None:
    """Raises InputInvalid unless the role acts for an account where one is given, and for all where none is.

    Billing does either: an account's own person, or the team that looks after every account's billing.
    """
    if role is Role.SYSTEM:
        raise InputInvalid("role 'system' is the sweeper's and the webhooks'; no token has it")
    if role in ACCOUNT_ROLES and role is not Role.BILLING and account is None:
        raise InputInvalid(f"role {role.value!r} acts for one account; say which by --account")
    if role not in ACCOUNT_ROLES and account is not None:
        raise InputInvalid(f"role {role.value!r} acts for all accounts; leave --account out")


def _checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"
