"""Shelf: the rulebooks that accounts live under, each in the version the account was created with.

A rulebook's file may change from release to release; an account keeps the version whose digest it carries until it is
moved to another. So texts are stored in the ledger, and read from there whenever the file says something else by now.
"""

import threading

from gating.account import Account
from gating.errors import NotFound, RulebookInvalid
from gating.ledger import Ledger
from gating.policy import load_rulebook, parse_rulebook, rulebooks
from gating.rulebook import Policy


class Shelf:
    """Rulebooks by digest, parsed once. Threads may share it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._policies: dict[str, Policy] = {}
        self._mutex = threading.Lock()

    def of(self, account: Account) -> Policy:
        """The rulebook the account lives under. Raises RulebookInvalid where this release cannot have it."""
        with self._mutex:
            policy = self._policies.get(account.rulebook_digest)
            if policy is None:
                policy = self._policies[account.rulebook_digest] = self._find(account)
            return policy

    def _find(self, account: Account) -> Policy:
        if account.rulebook in rulebooks():
            policy = load_rulebook(account.rulebook)
            if policy.digest == account.rulebook_digest:
                return policy
        stored = self._ledger.rulebook(account.rulebook_digest)
        if stored is None:
            raise RulebookInvalid(
                f"account {account.id!r} lives under a version of rulebook {account.rulebook!r} that neither this "
                "release nor the ledger has; restore the ledger that it was created in"
            )
        return parse_rulebook(stored[1], stored[0])


def packaged(name: str) -> Policy:
    """A rulebook that comes with the package. Never a path, though `load_rulebook` takes one: the name may come from
    the network. Raises NotFound.
    """
    if name not in rulebooks():
        raise NotFound(f"there is no rulebook {name[:64]!r}; there are: {', '.join(rulebooks())}")
    return load_rulebook(name)


def is_packaged(account: Account) -> bool:
    """Tell whether the account lives under the version of its rulebook that comes with the package."""
    return account.rulebook in rulebooks() and load_rulebook(account.rulebook).digest == account.rulebook_digest
