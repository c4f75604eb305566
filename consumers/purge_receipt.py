"""The receipt's document: what was purged where, when, and what stays. Pure; called by `purge.py` at its end."""

from collections.abc import Mapping
from typing import Any

from gating.account import Account
from gating.ledger import Noted, Owed
from gating.rulebook import Policy
from gating.stack import resolve
from gating.times import rfc3339

BACKUPS = "backups_due"


def receipt_document(
    owed: Owed,
    stores: Mapping[str, Noted],
    now_us: int,
    *,
    words: int,
    payments: int,
    payments_until_us: int | None,
    backups_due_us: int | None,
    postgres: bool,
) -> dict[str, Any]:
    """The document of `pixelgate account receipt`. Times are RFC 3339.

    words: texts that were erased in the ledger. payments: billing records that stay, the last of them until then.
    """
    rows = [
        {"store": store, "found": noted.found, "left": 0, "gone_at": rfc3339(noted.done_at_us or now_us)}
        for store, noted in sorted(stores.items())
    ]
    rows.append({"store": "ledger", "found": words, "left": 0, "gone_at": rfc3339(now_us)})
    remains: dict[str, Any] = {
        "tombstone": "the account's id, its write keys, its history and its refusals, by ids",
        "billing_records": payments,
        "billing_records_until": None if payments_until_us is None else rfc3339(payments_until_us),
        "backups_due": None if backups_due_us is None else rfc3339(backups_due_us),
        "exports": "files that were exported before are whoever's they were given to",
    }
    if postgres:
        remains["postgresql"] = "dead rows of details, keys, outbox and purges until VACUUM; its WAL is a backup"
    if backups_due_us is None:
        remains["backups"] = "the operator's own term: the rulebook names none"
    return {
        "account": owed.account,
        "deleted_at": rfc3339(owed.at_us),
        "purged_at": rfc3339(now_us),
        "stores": rows,
        "remains": remains,
    }


def backups_due_us(policy: Policy, account: Account, deleted_at_us: int) -> int | None:
    """When the last backup that holds the account is due to go, by its rulebook; None where that names no term.

    Worked out anew from the rulebook: the effect of the same name is another's to carry out, and may be gone by now.
    """
    rows = [row for rows in policy.commands.values() for row in rows]
    for rule in (*policy.lapse_effects.get(account.status, ()), *(rule for row in rows for rule in row.effects)):
        if rule.name == BACKUPS and rule.when is not None:
            return resolve(rule.when, deleted_at_us, account.anchors)
    return None
