"""Service: a command from end to end - load, decide, commit, announce, await the fence.

Run by the gating process, and by the command line itself where none runs. All ledger work happens in one thread of its
own, so that the loop goes on answering the workers' reports while a commit waits for the disk.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from gating.account import Decision, Request
from gating.clock import Clock, boot_ns
from gating.errors import AlreadyExists, InputInvalid, PixelgateError
from gating.feed import StatusChange
from gating.lead import Lead
from gating.ledger import SYSTEM, AccountRow, Ledger, Transaction, Who
from gating.lifecycle import decide, due, open_account, standing
from gating.move import move
from gating.people import People, new_person
from gating.receipts import receipt_view
from gating.rulebook import Policy
from gating.shelf import Shelf, is_packaged, packaged
from gating.status import SECOND_US, Command, Role
from gating.terms import ON_FILE
from gating.views import Document, account_line, account_view, created_view, history_view, key_view, moved_view

T = TypeVar("T")
Change = Callable[[Transaction], tuple[Document, list[StatusChange]]]
"""What happens inside one write transaction: the document to answer with, and the changes to announce. It may be run
again, so it keeps nothing of an earlier run."""

WAIT_SECONDS: Final = 10.0
SWEEP_ACCOUNTS: Final = 500
"""Accounts whose deadlines one transaction makes durable: it holds every flip up for about 50 ms."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Whether to return only when every worker enforces the change, and how long to wait for that.

    around: what must stand or fall with the change, in its own transaction: given the change, returns what is run.
    """

    wait: bool = True
    timeout_seconds: float = WAIT_SECONDS
    around: Callable[[Change], Change] | None = None

    def framed(self, change: Change) -> Change:
        """The change with what is around it."""
        return change if self.around is None else self.around(change)


class Service:
    """The verbs of an operator over one ledger, with one leader behind them. Documents are the contract's."""

    def __init__(self, ledger: Ledger, lead: Lead, clock: Clock) -> None:
        self._ledger = ledger
        self._lead = lead
        self._shelf = Shelf(ledger)
        self._clock = clock
        self.people = People(ledger, clock)
        self._in_doubt = False  # whether a commit failed and the ledger could not be asked what became of it
        self._writes = ThreadPoolExecutor(1, thread_name_prefix="ledger-writes")
        self._reads = ThreadPoolExecutor(1, thread_name_prefix="ledger-reads")  # a long list holds no flip up

    @property
    def clock(self) -> Clock:
        """The clock that changes are dated by."""
        return self._clock

    def close(self) -> None:
        """Let the transaction that runs end."""
        self._writes.shutdown()
        self._reads.shutdown()

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

        def change(transaction: Transaction) -> tuple[Document, list[StatusChange]]:
            if transaction.find(account_id) is not None:
                raise AlreadyExists(f"account {account_id!r} exists already, or did: ids are never given again")
            decision = open_account(policy, account_id, plan, self._clock.now_us())
            transaction.keep_rulebook(policy.digest, policy.name, policy.text)
            stands = standing(policy, decision.account)
            made = transaction.create_account(decision, stands, who, owner=owner, name=name)
            if owner is not None:
                transaction.add_person(new_person(account_id, Role.OWNER, owner, (), decision.at_us))
            return created_view(transaction.account(account_id), made), [made]

        return await self._commit(change, waiting)

    async def do(
        self, account: str, request: Request, *, waiting: Waiting = Waiting(), dry_run: bool = False
    ) -> Document:
        """Carry out a rulebook's command. Raises Refused, NotFound, InputInvalid; NotEnforcedInTime once committed."""

        def change(transaction: Transaction) -> tuple[Document, list[StatusChange]]:
            now_us = self._clock.now_us()
            changes = self._pass_deadlines(transaction, transaction.account(account), now_us)
            row = transaction.account(account)
            policy = self._shelf.of(row.account)
            decision = decide(policy, row.account, self._with_what_is_on_file(policy, request, account), now_us)
            if decision.changed:
                changes.append(_record(transaction, policy, decision, request))
                changes += self._pass_deadlines(transaction, transaction.account(account), now_us)
            version = changes[-1].version if changes else row.version
            return _flip_view(decision, version), changes

        if dry_run:
            document = await self.in_turn(lambda: self._dry_run(waiting.framed(change)))
            return {**document, "version": None, "enforced": False, "workers": 0, "waited_ms": 0.0, "dry_run": True}
        return await self._commit(change, waiting)

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

        def change(transaction: Transaction) -> tuple[Document, list[StatusChange]]:
            now_us = self._clock.now_us()
            changes = self._pass_deadlines(transaction, transaction.account(account), now_us)
            row = transaction.account(account)
            policy = packaged(to_rulebook or row.account.rulebook)
            decision = move(policy, row.account, now_us, recompute=recompute_deadlines)
            if decision.changed:
                transaction.keep_rulebook(policy.digest, policy.name, policy.text)
                changes.append(transaction.record(decision, standing(policy, decision.account), who))
                changes += self._pass_deadlines(transaction, transaction.account(account), now_us)
            after = transaction.account(account)
            return moved_view(policy, row, after, now_us, changed=decision.changed), changes

        return await self._commit(change, waiting)

    async def create_key(
        self, account: str, *, source: str | None = None, who: Who, waiting: Waiting = Waiting()
    ) -> Document:
        """One more write key for the account."""

        def change(transaction: Transaction) -> tuple[Document, list[StatusChange]]:
            now_us = self._clock.now_us()
            changes = self._pass_deadlines(transaction, transaction.account(account), now_us)
            changes.append(transaction.add_key(account, at_us=now_us, who=who, source=source))
            key = changes[-1].keys[-1].write_key
            return {"account": account, "write_key": key, "revoked": None, "version": changes[-1].version}, changes

        return await self._commit(change, waiting)

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

        def change(transaction: Transaction) -> tuple[Document, list[StatusChange]]:
            now_us = self._clock.now_us()
            changes = self._pass_deadlines(transaction, transaction.account(account), now_us)
            made = transaction.rotate_key(
                account, at_us=now_us, who=who, grace_us=grace_us, which=key, source=source
            )  # fmt: skip
            changes.append(made.change)
            revoked = made.revoked[0] if len(made.revoked) == 1 else list(made.revoked)
            return {
                "account": account, "write_key": made.write_key, "revoked": revoked, "version": made.change.version,
            }, changes  # fmt: skip

        return await self._commit(change, waiting)

    async def revoke_key(self, account: str, *, key: str, who: Who, waiting: Waiting = Waiting()) -> Document:
        """Have the key's hits dropped from now on, for good."""

        def change(transaction: Transaction) -> tuple[Document, list[StatusChange]]:
            now_us = self._clock.now_us()
            changes = self._pass_deadlines(transaction, transaction.account(account), now_us)
            changes.append(transaction.revoke_key(account, key, at_us=now_us, who=who))
            return {"account": account, "write_key": None, "revoked": key, "version": changes[-1].version}, changes

        return await self._commit(change, waiting)

    async def sweep(self) -> int:
        """Make the deadlines durable that have come, one batch of accounts; returns how many changes that were."""

        def change(transaction: Transaction) -> tuple[Document, list[StatusChange]]:
            now_us = self._clock.now_us()
            accounts = self._ledger.deadlines(now_us, SWEEP_ACCOUNTS)
            transaction.load(accounts)
            changes: list[StatusChange] = []
            for account in accounts:
                changes += self._pass_deadlines(transaction, transaction.account(account), now_us)
            return {"changes": len(changes)}, changes

        if self._in_doubt:
            await self._look_at_head()
        if not await self.read(lambda: self._ledger.deadlines(self._clock.now_us(), 1)):
            return 0  # no write transaction a second for nothing: it would hold flips up
        return int((await self._commit(change, Waiting(wait=False)))["changes"])

    async def commit(self, change: Change, waiting: Waiting = Waiting(wait=False)) -> Document:
        """Another room's change in one transaction, announced to the workers; waits for none of them by default."""
        return await self._commit(change, waiting)

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
        row = self._ledger.account(account)
        shown = account_view(self._shelf.of(row.account), row, self._ledger.keys(account), self._clock.now_us())
        return {**shown, "rulebook_packaged": is_packaged(row.account)}

    def _list(self, status: str | None, rulebook: str | None) -> list[Document]:
        """The status asked for is the one of now, not the stored one."""
        now_us = self._clock.now_us()
        rows = self._ledger.accounts(rulebook=rulebook)
        lines = (account_line(self._shelf.of(row.account), row, now_us) for row in rows)
        return [line for line in lines if status is None or line["status"] == status.upper()]

    def _with_what_is_on_file(self, policy: Policy, request: Request, account: str) -> Request:
        """The request with company and e-mail as the ledger holds them, where a row of its command wants them named."""
        rows = policy.commands.get(Command(request.command), ())
        if not any(need.name in ON_FILE for row in rows for need in row.needs):
            return request
        details = self._ledger.details(account)
        return replace(request, on_file={"company": details.get("name", ""), "email": details.get("owner", "")})

    def _pass_deadlines(self, transaction: Transaction, row: AccountRow, now_us: int) -> list[StatusChange]:
        """Record the deadlines of an account that have come, each dated at its moment: at its instant it wins."""
        policy = self._shelf.of(row.account)
        return [
            transaction.record(decision, standing(policy, decision.account), SYSTEM)
            for decision in due(policy, row.account, now_us)
        ]

    async def read(self, ask: Callable[[], T]) -> T:
        """Run what only reads the ledger, in a thread that holds no change up."""
        return await asyncio.get_running_loop().run_in_executor(self._reads, ask)

    async def in_turn(self, work: Callable[[], T]) -> T:
        """Run what writes to the ledger in the one thread that does."""
        return await asyncio.get_running_loop().run_in_executor(self._writes, work)

    async def _commit(self, change: Change, waiting: Waiting) -> Document:
        """Run a change in one transaction, announce it, wait behind the fence; its document, and how that went.

        The head moves before anything else can be granted. A commit that fails may have been one all the same (an I/O
        error after it was durable, an answer that was lost with the connection), so the ledger is asked where it
        stands; the sweeper goes on asking where it cannot be.
        """
        asked_ns = boot_ns()

        try:
            document, changes = await self.in_turn(lambda: self._ledger.change(waiting.framed(change)))
        except Exception:
            self._in_doubt = True
            with contextlib.suppress(PixelgateError):
                await self._look_at_head()
            raise
        committed_ns = boot_ns()
        self._lead.announce(changes)
        if not waiting.wait:
            return {**document, "enforced": False, "workers": len(self._lead.workers()), "waited_ms": 0.0}
        workers = await self._lead.enforced(self._lead.head, waiting.timeout_seconds)
        now_ns = boot_ns()
        return {
            **document,
            "enforced": True,
            "workers": workers,
            "waited_ms": round((now_ns - asked_ns) / 1e6, 3),
            "enforced_ms": round((now_ns - committed_ns) / 1e6, 3),
        }

    async def _look_at_head(self) -> None:
        """Move the head to where the ledger stands. Raises Unreachable."""
        self._lead.advance((await self.read(self._ledger.head)).version)
        self._in_doubt = False

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


def _record(transaction: Transaction, policy: Policy, decision: Decision, request: Request) -> StatusChange:
    who = Who(request.actor, request.role, request.on_behalf)
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


def _flip_view(decision: Decision, version: int) -> Document:
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


def _grace_us(grace_seconds: float) -> int:
    if not 0 <= grace_seconds <= 366 * 24 * 3600:
        raise InputInvalid(f"a grace of {grace_seconds:g} s: between 0 and a year it must be")
    return int(grace_seconds * SECOND_US)
