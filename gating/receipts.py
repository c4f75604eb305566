"""Receipts: what `account receipt` tells of a deleted account: its receipt, or what that still waits for.

Called by `service.py` on its reading thread. The purge itself is the consumers' (consumers/purge.py); here it is only
looked at.
"""

from gating.errors import Refused
from gating.ledger import Ledger
from gating.status import Status
from gating.times import rfc3339
from gating.views import Document


def receipt_view(ledger: Ledger, account: str) -> Document:
    """The receipt; while there is none, `purged_at` is null and `waits_for` says for what. Raises NotFound, and Refused
    for an account that is not deleted."""
    row = ledger.account(account)
    purges = ledger.purges
    receipt = purges.receipt(account)
    if receipt is not None:
        return receipt
    if row.status is not Status.DELETED:
        raise Refused(f"account {account!r} is {row.status}: only a deleted account gets a receipt")
    stores = purges.stores(account)
    return {
        "account": account,
        "deleted_at": rfc3339(row.account.changed_at_us),
        "purged_at": None,
        "stores": [
            {
                "store": store,
                "found": noted.found,
                "gone_at": None if noted.done_at_us is None else rfc3339(noted.done_at_us),
                "gone_by": _moment((noted.note or {}).get("gone_by_us")) if noted.done_at_us is None else None,
            }
            for store, noted in sorted(stores.items())
        ],
        "waits_for": _waits_for(ledger, account),
    }


def _waits_for(ledger: Ledger, account: str) -> list[str]:
    """In words, what stands between the account and its receipt."""
    purges = ledger.purges
    stores, places = purges.stores(account), purges.places()
    waiting = [f"effect {kind}, which is still to be carried out" for kind in purges.effects_owed(account)]
    if not places:
        waiting.append("a consumer: none has told that it is there")
    for place, seen_us in sorted(places.items()):
        for what in ("journals", "letters"):
            noted = stores.get(f"{what} {place}")
            if noted is None or noted.done_at_us is None:
                waiting.append(f"{what} of {place}, last heard of at {rfc3339(seen_us)}")
                break
    for store in ("warehouse", "kafka"):
        noted = stores.get(store)
        if noted is not None and noted.done_at_us is None:
            waiting.append(store)
    return waiting or ["the last step"]


def _moment(time_us: object) -> str | None:
    return rfc3339(time_us) if isinstance(time_us, int) else None
