"""What the command line and the API show of an account: the documents of the contract, from the ledger's rows.

Pure. A status is shown as of now: a deadline that has come counts even while nobody has made it durable yet.
"""

from dataclasses import replace
from typing import Any, Final

from gating.account import LAST_ACTIVITY, Decision
from gating.actor import channel_of
from gating.feed import StatusChange
from gating.ledger import AccountRow, HistoryRow, KeyRow
from gating.ledger.activity import Activity
from gating.lifecycle import active, due, standing
from gating.rulebook import Policy
from gating.times import rfc3339

Document = dict[str, Any]

DIGEST_CHARACTERS: Final = 12
"""Of a rulebook's digest, as shown: enough to tell versions apart."""


def account_view(policy: Policy, row: AccountRow, keys: list[KeyRow], now_us: int, seen: Activity) -> Document:
    """`account show`: where it stands at `now_us`, and its write keys. seen: what the consumers reported of it."""
    row = replace(row, account=active(policy, row.account, seen.at_us))
    return {
        **account_line(policy, row, now_us, seen.known_us),
        "last_activity": rfc3339(row.account.anchors[LAST_ACTIVITY]),
        "rulebook_digest": row.account.rulebook_digest[:DIGEST_CHARACTERS],
        "keys": [key_view(key) for key in keys],
    }


def account_line(policy: Policy, row: AccountRow, now_us: int, known_us: int | None) -> Document:
    """One account of `account list`. known_us: up to when its activity is known, as `lifecycle.has_come` takes it."""
    passed = due(policy, row.account, now_us, known_us)
    account = passed[-1].account if passed else row.account
    stands = standing(policy, account)
    deadline = account.deadline
    return {
        "account": account.id,
        "rulebook": account.rulebook,
        "plan": account.plan,
        "status": account.status,
        "beneath": list(account.beneath),
        "verdict": stands.verdict.name,
        "access": stands.access,
        "deadline": None if deadline is None else {"at": rfc3339(deadline.at_us), "then": deadline.then},
        "created_at": rfc3339(row.created_at_us),
        "version": row.version,
    }


def key_view(key: KeyRow) -> Document:
    """One write key. `revoked_at` may lie ahead: a grace."""
    return {
        "write_key": key.write_key,
        "source": key.source,
        "created_at": rfc3339(key.created_at_us),
        "revoked_at": None if key.revoked_at_us is None else rfc3339(key.revoked_at_us),
    }


def history_view(row: HistoryRow) -> Document:
    """One change. What people wrote stands under `details` until it is erased."""
    return {
        "version": row.version,
        "at": rfc3339(row.at_us),
        "command": row.command,
        "from": row.from_status,
        "to": row.to_status,
        "status": row.status,
        "verdict": row.verdict.name,
        "actor": row.actor,
        "channel": channel_of(row.actor),
        "role": row.role,
        "for": row.on_behalf,
        "effects": list(row.effects),
        "keys": [
            [key.write_key, None if key.revoked_at_us is None else rfc3339(key.revoked_at_us)] for key in row.keys
        ],
        "details": dict(row.details),
    }


def created_view(row: AccountRow, change: StatusChange) -> Document:
    """`account create`."""
    return {
        "account": row.id,
        "rulebook": row.account.rulebook,
        "plan": row.account.plan,
        "status": row.status,
        "write_key": change.keys[0].write_key,
        "version": change.version,
    }


def flip_view(decision: Decision, version: int) -> Document:
    """`account do`: what the command came to."""
    return {
        "account": decision.account.id,
        "command": decision.command,
        "from": decision.from_,
        "to": decision.to,
        "status": decision.account.status,
        "verdict": decision.verdict.name,
        "access": decision.access,
        "changed": decision.changed,
        "effects": [effect.name for effect in decision.effects],
        "rule": decision.rule,
        "version": version,
    }


def moved_view(
    policy: Policy, before: AccountRow, after: AccountRow, now_us: int, known_us: int | None, *, changed: bool
) -> Document:
    """`account move`: the rulebooks' names and versions, and where the account stands now. known_us: as above."""
    return {
        **account_line(policy, after, now_us, known_us),
        "changed": changed,
        "from_rulebook": before.account.rulebook,
        "from_digest": before.account.rulebook_digest[:DIGEST_CHARACTERS],
        "rulebook_digest": policy.digest[:DIGEST_CHARACTERS],
    }
