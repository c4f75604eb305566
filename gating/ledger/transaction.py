"""Transaction: one write transaction on the ledger; every change of an account goes through here.

Each change takes the next version and becomes, all in this transaction, a row of the history, what `accounts`, `keys`
and `gate` then say, and what the outbox owes. Accounts are loaded once and rows written together at the end, so that a
batch of decisions (deadlines that came) costs few statements. It decides nothing: decisions are lifecycle's.

Take `now` inside the transaction: a change dated before the wait for the lock could be dated before one that is
already committed and enforced.
"""

import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import delete, insert, select, update

from gating.account import Account, Decision, Standing
from gating.errors import AlreadyExists, Refused
from gating.feed import StatusChange
from gating.ledger import activity, billing, events, idempotency, purges, tables
from gating.ledger.book import Loaded, settled_state
from gating.ledger.entry import Entry, check_account_id, effects_of
from gating.ledger.given_key import check_given
from gating.ledger.history import digest_of
from gating.ledger.keys import (
    CREATE_KEY,
    NAME_KEY,
    NO_EDIT,
    REVOKE_KEY,
    ROTATE_KEY,
    KeyEdit,
    Rotation,
    check_source,
    edited,
    naming,
    new_write_key,
    revocation,
    rotation,
)
from gating.ledger.opened import Opened
from gating.ledger.people import PersonRow, add_person, erase_emails
from gating.ledger.rows import CHANGE, Who
from gating.ledger.store import Unstorable, is_storable
from gating.status import Command, Status, Verdict

CHANGES_MAX: Final = 10_000
"""Changes in one transaction: it holds every other writer up, and lies in memory until it is written."""


class Transaction(Opened):
    """Made by `Ledger.begin`. Not for two threads. A call that raises one of gating's errors has changed nothing."""

    # ---- changes --------------------------------------------------------------------------------------------------

    def keep_rulebook(self, digest: str, name: str, text: str) -> None:
        """Store a rulebook's text under its digest, for the accounts that will live under it; once is enough."""
        known = select(tables.rulebooks.c.digest).where(tables.rulebooks.c.digest == digest)
        if self._connection.execute(known).first() is None:
            values = {"digest": digest, "name": name, "text": text}
            self._connection.execute(insert(tables.rulebooks).values(values))

    def create_account(
        self,
        decision: Decision,
        standing: Standing,
        who: Who,
        *,
        owner: str | None = None,
        name: str | None = None,
        write_key: str | None = None,
        source: str | None = None,
        details: Mapping[str, str] | None = None,
    ) -> StatusChange:
        """Record a new account with its first write key, which is the change's only one.

        Raises AlreadyExists where the id is or ever was an account's, or the given write key anybody's; InputInvalid
        for an id that cannot stand in paths and records, and for a given key that could be guessed.
        """
        account = decision.account.id
        check_account_id(account)
        if self._book.get(account) is not None:
            raise AlreadyExists(f"account {account!r} exists already, or did: ids are never given again")
        given = {"owner": owner, "name": name}
        return self._write(
            Loaded.new(decision, standing),
            Entry.of(
                decision.at_us,
                decision.command,
                who,
                None,
                decision.to,
                effects=effects_of(decision),
                details={**{key: text for key, text in given.items() if text is not None}, **(details or {})},
                keys=KeyEdit(add=((self._fresh(write_key, source), source),)),
            ),
            reveals=standing.verdict is Verdict.ACCEPT,
        )

    def record(
        self,
        decision: Decision,
        standing: Standing,
        who: Who,
        *,
        details: Mapping[str, str] | None = None,
        keys: KeyEdit = NO_EDIT,
    ) -> StatusChange:
        """Record a decision about an account that exists, and what it does to the account's keys.

        Raises NotFound, and Refused where the account has changed since the decision's account was read, or is
        deleted (I8). ValueError for a decision that changes nothing: those are not recorded.
        """
        if not decision.changed:
            raise ValueError(f"{decision.command!r} changes nothing: there is nothing to record")
        loaded = self._existing(decision.account.id)
        if keys or not decision.from_ is decision.to is decision.account.status is Status.DELETED:
            self._refuse_final(loaded)  # what stays deleted may still be written down, such as a restore beside it
        self._refuse_stale(loaded, decision.account)
        from_status, was = decision.from_, loaded.row.verdict
        entry = Entry.of(
            decision.at_us,
            decision.command,
            who,
            from_status,
            decision.to,
            effects=effects_of(decision),
            details=details or {},
            keys=keys,
        )
        # Not each change while ACCEPT holds: at the edge a hit may be hidden by a deadline that is not recorded yet.
        reveals = decision.verdict is Verdict.ACCEPT and (decision.to != from_status or was is not Verdict.ACCEPT)
        return self._write(loaded, entry, ruling=(decision, standing), reveals=reveals)

    def add_key(
        self, account: str, write_key: str | None = None, *, at_us: int, who: Who, source: str | None = None
    ) -> StatusChange:
        """Give the account one more write key, a fresh one unless given; it is the change's last.

        Raises NotFound, Refused beyond KEYS_PER_ACCOUNT_MAX or on a deleted account, AlreadyExists for a key that
        anybody has or had.
        """
        edit = KeyEdit(add=((self._fresh(write_key, source), source),))
        return self._edit_keys(account, CREATE_KEY, edit, at_us, who)

    def revoke_key(self, account: str, write_key: str, *, at_us: int, who: Who, grace_us: int = 0) -> StatusChange:
        """Have the key's hits dropped from `at_us + grace_us` on, for good; the account's other keys go on.

        One that stops by then anyway changes nothing: the newest change is returned. Raises NotFound.
        """
        loaded = self._existing(account)
        at_us = max(at_us, loaded.row.account.changed_at_us)
        edit = KeyEdit(revoke=revocation(loaded.keys, [write_key], at_us + grace_us))
        return self._edit_keys(account, REVOKE_KEY, edit, at_us, who) if edit else loaded.newest

    def rotate_key(
        self,
        account: str,
        new_key: str | None = None,
        *,
        at_us: int,
        who: Who,
        grace_us: int = 0,
        which: str | None = None,
        source: str | None = None,
        ruling: tuple[Decision, Standing] | None = None,
        details: Mapping[str, str] | None = None,
    ) -> Rotation:
        """Replace the key `which`, or all keys of `source`, or the only living one, by a fresh one of that source.

        The old ones drop from `at_us + grace_us` on. ruling: the rulebook's decision that asks for the rotation, where
        one does; both are then one change. Raises NotFound, InputInvalid, and as `add_key` and `record` do.
        """
        loaded = self._existing(account)
        write_key = self._fresh(new_key)
        instant_us = (ruling[0].at_us if ruling else max(at_us, loaded.row.account.changed_at_us)) + grace_us
        edit = rotation(loaded.keys, write_key, instant_us, which, source)
        if ruling:
            change = self.record(*ruling, who, details=details, keys=edit)
        else:
            change = self._edit_keys(account, ROTATE_KEY, edit, at_us, who)
        return Rotation(write_key, tuple(edit.revoke), change)

    def name_key(
        self, account: str, to: str, *, at_us: int, who: Who, which: str | None = None, source: str | None = None
    ) -> StatusChange:
        """Name the key `which`, or every key of `source`, `to`: beside the history, where it can be erased.

        Where all are named so already nothing changes: the newest change is returned. Raises as `keys.naming` does.
        """
        loaded = self._existing(account)
        edit = naming(loaded.keys, which, source, to)
        return self._edit_keys(account, NAME_KEY, edit, at_us, who, {"source": to}) if edit else loaded.newest

    def note_activity(self, account: Account) -> None:
        """Store an account whose activity alone moved on (lifecycle's `active`): no change, no version, no history.

        Raises NotFound; Refused where the account has changed since it was read.
        """
        loaded = self._existing(account.id)
        self._refuse_stale(loaded, account)
        if settled_state(account) != settled_state(loaded.row.account):
            raise ValueError(f"account {account.id!r} differs in more than its activity: that takes a decision")
        loaded.slide(account)
        self._book.slid(loaded)

    def add_person(self, person: PersonRow) -> None:
        """Add somebody to an account, one that this transaction has made too. Raises NotFound, Refused."""
        self.finish()
        add_person(self._connection, person)
        self._book.forget()

    def erase_details(self, account: str) -> int:
        """Overwrite what people wrote and who they are: reasons, notes, addresses, names, keys' sources.

        The history and its chain stay. Effects still owed keep their arguments until they are delivered. Returns how
        many texts went. Raises NotFound.
        """
        self._existing(account)
        self.finish()
        gone = self._connection.execute(delete(tables.details).where(tables.details.c.account == account)).rowcount
        named = (tables.keys.c.account == account) & tables.keys.c.source.is_not(None)
        gone += self._connection.execute(update(tables.keys).where(named).values(source=None)).rowcount
        gone += erase_emails(self._connection, account)
        self._book.forget()
        return gone

    def record_payment(
        self, account: str, *, at_us: int, amount: int, currency: str, email: str, transaction_id: str
    ) -> bool:
        """Keep one payment for its term, whatever becomes of the account; False where it is recorded already.

        amount: in the currency's smallest unit. Raises NotFound, InputInvalid.
        """
        if self._existing(account).is_new:
            self.finish()  # its row, which the payment names; else the batch's rows go together at the end
        return billing.record_payment(
            self._connection, account, at_us=at_us, amount=amount, currency=currency, email=email,
            transaction_id=transaction_id,
        )  # fmt: skip

    def give_receipt(
        self, account: str, made: Callable[[int, int, int | None], dict[str, Any]], years: int | None, at_us: int
    ) -> bool:
        """End a deleted account's purge: erase what people wrote and what payment providers told, set its payments'
        term, keep the receipt.

        made: the document, from how many texts were erased, how many payments stay, and until when (None: there are
        none). years: how long payments are kept. False where it has its receipt already. Raises NotFound, and Refused
        for an account that is not deleted.
        """
        if not self._existing(account).newest.final:
            raise Refused(f"account {account!r} is not deleted: nothing of it is purged")
        erased = self.erase_details(account) + events.erase_account(self._connection, account)
        activity.erase(self._connection, account)
        idempotency.erase_account(self._connection, account)
        payments, until_us = billing.keep(self._connection, account, years)
        if left := purges.words_left(self._connection, account):
            raise ValueError(f"{left} texts of a purged account are left")
        return purges.give(self._connection, account, made(erased, payments, until_us), at_us)

    def new_epoch(self) -> str:
        """Draw a new epoch: the ledger was restored from a copy, so its versions may now come to mean other changes."""
        self.epoch = secrets.token_hex(16)
        self._connection.execute(update(tables.meta).values(epoch=self.epoch))
        self._connection.execute(update(tables.lead).values(enforced_version=0))
        return self.epoch

    # ---- inside ---------------------------------------------------------------------------------------------------

    def _refuse_final(self, loaded: Loaded) -> None:
        if not loaded.is_new and loaded.row.status is Status.DELETED:
            raise Refused(
                f"account {loaded.row.id!r} is deleted for good: nothing changes it any more (I8)", rule="deleted"
            )

    def _refuse_stale(self, loaded: Loaded, account: Account) -> None:
        # Several decisions in a row all carry the version that the first one was made at.
        if account.version not in (loaded.version_at_load, loaded.row.version):
            raise Refused(
                f"account {loaded.row.id!r} changed meanwhile: it is at version {loaded.row.version}, the decision "
                f"was made at {account.version}; nothing was changed, try again",
                rule="changed_meanwhile",
            )

    def _fresh(self, write_key: str | None, source: str | None = None) -> str:
        """A key for a source, the given one if any. Raises InputInvalid, AlreadyExists."""
        if source is not None:
            check_source(source)
        if write_key is None:
            return new_write_key()
        check_given(write_key)
        if self._book.key_is_taken(write_key):
            raise AlreadyExists("this write key is or was in use; keys are never given again")
        return write_key

    def _edit_keys(
        self,
        account: str,
        command: Command,
        edit: KeyEdit,
        at_us: int,
        who: Who,
        details: Mapping[str, str] | None = None,
    ) -> StatusChange:
        """A change of keys alone: status, verdict and deadlines stay as the newest change has them."""
        loaded = self._existing(account)
        self._refuse_final(loaded)
        row = loaded.row
        # Never before the account's last change, as decisions are; `changed_at_us` stays, or a deadline that came in
        # between could no longer be dated at its moment.
        at_us = max(at_us, row.account.changed_at_us)
        entry = Entry.of(at_us, command, who, row.status, row.status, keys=edit, details=details)
        return self._write(loaded, entry)

    def _write(
        self,
        loaded: Loaded,
        entry: Entry,
        *,
        ruling: tuple[Decision, Standing] | None = None,
        reveals: bool = False,
    ) -> StatusChange:
        """Give the entry its version and set down all its rows, with the account as the ruling leaves it."""
        if self._book.changes >= CHANGES_MAX:
            raise ValueError(f"more than {CHANGES_MAX} changes in one transaction: commit in between")
        plan = (ruling[0].account if ruling else loaded.row.account).plan
        if plan is not None and not is_storable(plan):
            raise Unstorable
        version = self.next_version()
        keys = edited(loaded.keys, entry.keys, loaded.row.id, entry.at_us, version)
        if ruling:
            loaded.decide(*ruling)
        loaded.move(version, keys, reveals=reveals)
        change = entry.change(loaded)
        loaded.announce(change)
        fields = entry.history(change, loaded)
        digest = digest_of(fields, self._chain)
        self._book.add(loaded, {**fields, "previous": self._chain, "digest": digest}, entry.details)
        # A rotation is carried out by this very transaction.
        owed = [effect for effect in entry.effects if effect[0] != ROTATE_KEY]
        self._book.owe(change, ((CHANGE, loaded.encoded), *owed))
        self._head, self._chain = version, digest
        return change
