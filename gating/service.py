"""Service: a command from end to end - load, decide, commit, announce, await the fence.

Run by the gating process, and by the command line itself where none runs. Each verb is one change; `commits.py` carries
them out.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from gating.account import Decision, Request
from gating.clock import Clock
from gating.clock_desk import ClockDesk
from gating.commits import Change, Commits, Made, Waiting
from gating.deadlines import Deadlines
from gating.errors import AlreadyExists, InputInvalid
from gating.feed import StatusChange
from gating.keys import Finder
from gating.lead import Lead
from gating.ledger import Ledger, Transaction, Who
from gating.ledger.keys import CREATE_KEY, NAME_KEY, REVOKE_KEY, ROTATE_KEY
from gating.lifecycle import OPEN, decide, open_account, standing
from gating.move import MOVE, move
from gating.people import People, new_person
from gating.receipts import receipt_view
from gating.refusals import Attempt, Refusals
from gating.rulebook import Policy
from gating.shelf import Shelf, is_packaged, packaged
from gating.status import SECOND_US, Command, Role
from gating.sweeper import Sweeper
from gating.terms import ON_FILE
from gating.views import (
    Document,
    account_line,
    account_view,
    created_view,
    flip_view,
    history_view,
    key_view,
    moved_view,
)

T = TypeVar("T")


class Service:
    """The verbs of an operator over one ledger, with one leader behind them. Documents are the contract's."""

    def __init__(self, ledger: Ledger, lead: Lead, clock: Clock) -> None:
        self._ledger = ledger
        self._shelf = Shelf(ledger)
        self._clock = clock
        self._commits = Commits(ledger, lead)
        self._deadlines = Deadlines(self._shelf, clock.reading)
        self.people = People(ledger, clock)
        self.sweeper = Sweeper(
            ledger, self._shelf, self._deadlines, reading=clock.reading, read=self.read, record=self._sweep
        )
        self.clock_desk = ClockDesk(ledger, clock, self.sweeper, read=self.read, in_turn=self.in_turn)
        self.finder = Finder(ledger, self._shelf, clock)
        self.refusals = Refusals(ledger, clock, self.in_turn)

    @property
    def clock(self) -> Clock:
        """The clock that changes are dated by."""
        return self._clock

    def close(self) -> None:
        """Let the transaction that runs end."""
        self._commits.close(self.refusals.close)

    # ---- changes ----------------------------------------------------------------------------------------------------

    async def create_account(
        self,
        account: str | None,
        *,
        rulebook: str,
        plan: str | None = None,
        owner: str | None = None,
        name: str | None = None,
        who: Who,
        waiting: Waiting = Waiting(),
    ) -> Document:
        """A new account and its first write key. Raises AlreadyExists, NotFound (rulebook), InputInvalid (id)."""
        policy = packaged(rulebook)
        account_id = account or _new_account_id()

        def change(transaction: Transaction) -> Made:
            if transaction.find(account_id) is not None:
                raise AlreadyExists(f"account {account_id!r} exists already, or did: ids are never given again")
            decision = open_account(policy, account_id, plan, self._clock.now_us())
            transaction.keep_rulebook(policy.digest, policy.name, policy.text)
            stands = standing(policy, decision.account)
            made = transaction.create_account(decision, stands, who, owner=owner, name=name)
            if owner is not None:
                transaction.add_person(new_person(account_id, Role.OWNER, owner, (), decision.at_us))
            return created_view(transaction.account(account_id), made), [made]

        return await self.refusals.watch(Attempt(account_id, OPEN, who), change, waiting, self._commits.commit)

    async def do(
        self, account: str, request: Request, *, waiting: Waiting = Waiting(), dry_run: bool = False
    ) -> Document:
        """Carry out a rulebook's command. Raises Refused, NotFound, InputInvalid; NotEnforcedInTime once committed."""

        def change(transaction: Transaction) -> Made:
            now_us = self._clock.now_us()
            changes = self._deadlines.record_before(transaction, account)
            row = transaction.account(account)
            policy = self._shelf.of(row.account)
            asked = self._with_what_is_on_file(policy, request, account)
            known_us = self._deadlines.known_us(transaction, account, now_us)
            decision = decide(policy, row.account, asked, now_us, known_us)
            if decision.changed:
                changes.append(_record(transaction, policy, decision, request))
                changes += self._deadlines.record(transaction, account)
            version = changes[-1].version if changes else row.version
            return flip_view(decision, version), changes

        if dry_run:
            document = await self.in_turn(lambda: self._dry_run(waiting.framed(change)))
            return {**document, "version": None, "enforced": False, "workers": 0, "waited_ms": 0.0, "dry_run": True}
        attempt = Attempt(account, request.command, _who(request))
        return await self.refusals.watch(attempt, change, waiting, self._commits.commit)

    async def move(
        self,
        account: str,
        *,
        to_rulebook: str | None = None,
        recompute_deadlines: bool = False,
        who: Who,
        waiting: Waiting = Waiting(),
    ) -> Document:
        """Move it to the packaged version of its rulebook, or of another one. Raises Refused, NotFound."""

        def change(transaction: Transaction) -> Made:
            now_us = self._clock.now_us()
            changes = self._deadlines.record_before(transaction, account)
            row = transaction.account(account)
            policy = packaged(to_rulebook or row.account.rulebook)
            decision = move(policy, row.account, now_us, recompute=recompute_deadlines)
            if decision.changed:
                transaction.keep_rulebook(policy.digest, policy.name, policy.text)
                changes.append(transaction.record(decision, standing(policy, decision.account), who))
                changes += self._deadlines.record(transaction, account)
            after = transaction.account(account)
            known_us = self._deadlines.known_us(transaction, account, now_us)
            return moved_view(policy, row, after, now_us, known_us, changed=decision.changed), changes

        return await self.refusals.watch(Attempt(account, MOVE, who), change, waiting, self._commits.commit)

    async def create_key(
        self, account: str, *, source: str | None = None, who: Who, waiting: Waiting = Waiting()
    ) -> Document:
        """One more write key for the account."""

        def change(transaction: Transaction) -> Made:
            now_us = self._clock.now_us()
            changes = self._deadlines.record_before(transaction, account)
            changes.append(transaction.add_key(account, at_us=now_us, who=who, source=source))
            key = changes[-1].keys[-1].write_key
            return {"account": account, "write_key": key, "revoked": None, "version": changes[-1].version}, changes

        return await self.refusals.watch(Attempt(account, CREATE_KEY, who), change, waiting, self._commits.commit)

    async def rotate_key(
        self,
        account: str,
        *,
        key: str | None = None,
        source: str | None = None,
        grace_seconds: float = 0,
        who: Who,
        waiting: Waiting = Waiting(),
    ) -> Document:
        """Replace one key, all of a source, or the only one; the old ones drop after the grace."""
        grace_us = _grace_us(grace_seconds)

        def change(transaction: Transaction) -> Made:
            now_us = self._clock.now_us()
            changes = self._deadlines.record_before(transaction, account)
            made = transaction.rotate_key(
                account, at_us=now_us, who=who, grace_us=grace_us, which=key, source=source
            )  # fmt: skip
            changes.append(made.change)
            revoked = made.revoked[0] if len(made.revoked) == 1 else list(made.revoked)
            return {
                "account": account, "write_key": made.write_key, "revoked": revoked, "version": made.change.version,
            }, changes  # fmt: skip

        return await self.refusals.watch(Attempt(account, ROTATE_KEY, who), change, waiting, self._commits.commit)

    async def revoke_key(self, account: str, *, key: str, who: Who, waiting: Waiting = Waiting()) -> Document:
        """Have the key's hits dropped from now on, for good."""

        def change(transaction: Transaction) -> Made:
            now_us = self._clock.now_us()
            changes = self._deadlines.record_before(transaction, account)
            changes.append(transaction.revoke_key(account, key, at_us=now_us, who=who))
            return {"account": account, "write_key": None, "revoked": key, "version": changes[-1].version}, changes

        return await self.refusals.watch(Attempt(account, REVOKE_KEY, who), change, waiting, self._commits.commit)

    async def name_key(
        self, account: str, *, to: str, key: str | None = None, source: str | None = None, who: Who,
        waiting: Waiting = Waiting(),
    ) -> Document:  # fmt: skip
        """Name one key, or all of a source, anew; what their hits are worth stays."""

        def change(transaction: Transaction) -> Made:
            now_us = self._clock.now_us()
            changes = self._deadlines.record_before(transaction, account)
            made = transaction.name_key(account, to, at_us=now_us, who=who, which=key, source=source)
            named = [row.write_key for row in transaction.keys(account) if row.source == to]
            return {"account": account, "source": to, "write_keys": named, "version": made.version}, [*changes, made]

        return await self.refusals.watch(Attempt(account, NAME_KEY, who), change, waiting, self._commits.commit)

    async def sweep(self) -> int:
        """Make the deadlines durable that have come, one page of accounts; returns how many changes that were."""
        await self._commits.settle_doubt()
        return await self.sweeper.step()

    async def commit(self, change: Change, waiting: Waiting = Waiting(wait=False)) -> Document:
        """Another room's change in one transaction, announced to the workers; waits for none of them by default."""
        return await self._commits.commit(change, waiting)

    # ---- questions --------------------------------------------------------------------------------------------------

    async def account(self, account: str) -> Document:
        """Where the account stands now. Raises NotFound."""
        return await self.read(lambda: self._show(account))

    async def accounts(self, status: str | None = None, rulebook: str | None = None) -> list[Document]:
        """All accounts, or those of a status or rulebook."""
        return await self.read(lambda: self._list(status, rulebook))

    async def history(self, account: str) -> list[Document]:
        """All changes of the account, oldest first. Raises NotFound."""
        return await self.read(lambda: [history_view(row) for row in self._ledger.history(account)])

    async def receipt(self, account: str) -> Document:
        """What was purged of a deleted account, or what that still waits for. Raises NotFound, Refused."""
        return await self.read(lambda: receipt_view(self._ledger, account))

    async def keys(self, account: str) -> list[Document]:
        """Its write keys, revoked ones too. Raises NotFound."""
        return await self.read(lambda: [key_view(key) for key in self._ledger.keys(account)])

    # ---- inside -----------------------------------------------------------------------------------------------------

    def _show(self, account: str) -> Document:
        row, now_us = self._ledger.account(account), self._clock.now_us()
        seen = self._ledger.activity.of(account, now_us)
        shown = account_view(self._shelf.of(row.account), row, self._ledger.keys(account), now_us, seen)
        return {**shown, "rulebook_packaged": is_packaged(row.account)}

    def _list(self, status: str | None, rulebook: str | None) -> list[Document]:
        """The status asked for is the one of now, not the stored one."""
        now_us = self._clock.now_us()
        known_us = self._ledger.activity.known_us(now_us)
        rows = self._ledger.accounts(rulebook=rulebook)
        lines = (account_line(self._shelf.of(row.account), row, now_us, known_us) for row in rows)
        return [line for line in lines if status is None or line["status"] == status.upper()]

    def _with_what_is_on_file(self, policy: Policy, request: Request, account: str) -> Request:
        """The request with company and e-mail as the ledger holds them, where a row of its command wants them named."""
        rows = policy.commands.get(Command(request.command), ())
        if not any(need.name in ON_FILE for row in rows for need in row.needs):
            return request
        details = self._ledger.details(account)
        return replace(request, on_file={"company": details.get("name", ""), "email": details.get("owner", "")})

    async def _sweep(self, record: Callable[[Transaction], list[StatusChange]]) -> int:
        """The sweeper's way to commit: in a transaction that no flip shares."""

        def change(transaction: Transaction) -> Made:
            changes = record(transaction)
            return {"changes": len(changes)}, changes

        return int((await self._commits.commit(change, Waiting(wait=False), alone=True))["changes"])

    async def read(self, ask: Callable[[], T]) -> T:
        """Run what only reads the ledger, in a thread that holds no change up."""
        return await self._commits.read(ask)

    async def in_turn(self, work: Callable[[], T]) -> T:
        """Run what writes to the ledger, and is no change, in the one thread that does."""
        return await self._commits.in_turn(work)

    def _dry_run(self, change: Change) -> Document:
        try:
            with self._ledger.begin() as transaction:
                raise _Undone(change(transaction)[0])
        except _Undone as undone:
            return undone.document


class _Undone(Exception):
    """Leaves a transaction without committing it, with what it came to."""

    def __init__(self, document: Document) -> None:
        super().__init__()
        self.document = document


def _new_account_id() -> str:
    """An id for an account whose maker named none: 80 random bits."""
    return f"acct-{secrets.token_hex(10)}"


def _who(request: Request) -> Who:
    return Who(request.actor, request.role, request.on_behalf)


def _record(transaction: Transaction, policy: Policy, decision: Decision, request: Request) -> StatusChange:
    who = _who(request)
    stands = standing(policy, decision.account)
    details: Mapping[str, str] = {
        **request.values, **({} if request.reason is None else {"reason": request.reason})
    }  # fmt: skip
    for effect in decision.effects:
        if effect.name == "rotate_key":
            source = str(effect.arguments.get("source", "")) or None
            return transaction.rotate_key(
                decision.account.id, at_us=decision.at_us, who=who, source=source, ruling=(decision, stands),
                details=details,
            ).change  # fmt: skip
    return transaction.record(decision, stands, who, details=details)


def _grace_us(grace_seconds: float) -> int:
    if not 0 <= grace_seconds <= 366 * 24 * 3600:
        raise InputInvalid(f"a grace of {grace_seconds:g} s: between 0 and a year it must be")
    return int(grace_seconds * SECOND_US)
