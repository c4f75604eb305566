"""Carrying one event out, inside the write transaction that applies it.

Called by `applier.py`. Everything an event comes to (the account's changes, what is known of the subscription, the
event's own state) is one transaction, so that it comes once however often it is tried. Decides who an event is about
and what its command comes to; what the event still says is `order.py`'s word, what a command does the rulebook's.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from gating import stack
from gating.account import Account, Decision, Effect, Request
from gating.clock import Reading
from gating.deadlines import Deadlines
from gating.errors import GatingError, InputInvalid, Refused
from gating.feed import StatusChange
from gating.ledger import Transaction, Who, events
from gating.ledger.events import EventRow, Outcome, State
from gating.lifecycle import decide, standing
from gating.refusal import NO_SUCH_COMMAND
from gating.refusals import Attempt
from gating.rulebook import PERIOD_END, Policy
from gating.shelf import Shelf
from gating.status import Command, Role, Status
from gating.times import rfc3339
from gating.webhooks import event as reading
from gating.webhooks.event import Event, payment_of
from gating.webhooks.mapping import Rule, provider
from gating.webhooks.order import Fact, Known, Means, judge

PERIOD = Command("period_end")
"""How a paid period's new end is written in the history; no rulebook need have a row for it."""


Refusal = tuple[Attempt, GatingError]


def apply(
    transaction: Transaction, shelf: Shelf, row: EventRow, reading: Callable[[], Reading]
) -> tuple[State, list[StatusChange], Refusal | None]:
    """Apply an event that waits, and note what became of it: its state, the changes to announce, what was refused.

    reading: the service's clocks now. Raises ClockInDoubt where the account waits for the clock to be believed: so does
    the event then.
    """
    carried = _Carried(transaction, shelf, row, reading().wall_us, Deadlines(shelf, reading))
    outcome = carried.outcome()
    events.settle(transaction.connection, row.sequence, outcome)
    return outcome.state, carried.changes, carried.refusal


def _ignored(why: str, account: str | None = None) -> Outcome:
    return Outcome(State.IGNORED, why, account)


@dataclass(slots=True)
class _Carried:
    """One event on its way. `changes`: what was recorded so far, deadlines that had come included."""

    transaction: Transaction
    shelf: Shelf
    row: EventRow
    now_us: int
    deadlines: Deadlines
    changes: list[StatusChange] = field(default_factory=list)
    refusal: Refusal | None = None

    def outcome(self) -> Outcome:
        """Carry it out as far as it goes."""
        try:
            event = reading.read(provider(self.row.provider), self.row.body)
        except InputInvalid as error:
            return Outcome(State.FAILED, str(error))
        if event.rule is None:
            return _ignored(nothing_meant(event), event.account)
        account, why_not = self._whose(event)
        if account is None:
            return Outcome(State.PARKED, why_not)
        if self.transaction.account(account).status is Status.DELETED:
            gone = f"account {account!r} is deleted for good"
            return Outcome(State.IGNORED, gone, account, keeps_body=False)
        self._keep_payment(event, account)
        fact = event.fact
        if fact is None or event.subscription is None:
            return _ignored("it is of no subscription", account)
        return replace(self._told(event, event.rule, fact, account, event.subscription), account=account)

    def _whose(self, event: Event) -> tuple[str | None, str]:
        """The account, or why none is known. A customer's own link counts before what the event names.

        Where a checkout runs in the browser its custom data is the visitor's to write: so a second customer cannot
        name an account that has one; an operator links it.
        """
        connection, name = self.transaction.connection, event.provider.name
        if event.customer is not None:
            linked = events.account_of(connection, name, event.customer)
            if linked is not None:
                return linked, ""
        if event.account is None:
            return None, "it names no account, and its customer is linked to none: see `pixelgate billing link`"
        if self.transaction.find(event.account) is None:
            return None, f"it names account {event.account!r}, which is not there"
        if event.customer is not None:
            if events.customers_of(connection, name, event.account):
                return None, (
                    f"it names account {event.account!r}, which has another customer there: link it if both are right"
                )
            events.link(connection, name, event.customer, event.account, self.now_us)
        return event.account, ""

    def _keep_payment(self, event: Event, account: str) -> None:
        """What was paid was paid, however late it is told."""
        payment = payment_of(event)
        if payment is not None:
            self.transaction.record_payment(
                account, at_us=payment.at_us, amount=payment.amount, currency=payment.currency,
                email=payment.email or "", transaction_id=payment.transaction,
            )  # fmt: skip

    def _told(self, event: Event, rule: Rule, fact: Fact, account: str, subscription: str) -> Outcome:
        """Take what the event says into account, and give its command where it still counts."""
        stored = events.known(self.transaction.connection, account)
        key = (event.provider.name, subscription)
        text, moved_us = stored.get(key, ("", 0))
        judged = judge(Known.from_json(text) if text else Known(), fact)
        others = [Known.from_json(known) for place, (known, _) in stored.items() if place != key]
        moves = {moved for _, moved in stored.values()}
        self.changes += self.deadlines.record_before(self.transaction, account)
        version = self._period(event, account, judged.known.period_end_us)
        outcome = _ignored(judged.why)
        if judged.acts:
            outcome = self._act(event, rule, fact, account, others, moves, judged.known)
        if outcome.state is State.APPLIED and rule.command is not None:
            moved_us = self.transaction.account(account).account.changed_at_us
        elif version is not None and outcome.state is not State.APPLIED:
            outcome = Outcome(State.APPLIED, outcome.why or None, version=version)
        events.keep_known(self.transaction.connection, account, *key, judged.known.to_json(), moved_us)
        self.changes += self.deadlines.record(self.transaction, account)
        return outcome

    def _act(
        self, event: Event, rule: Rule, fact: Fact, account: str, others: list[Known], moves: set[int], known: Known
    ) -> Outcome:
        if rule.notice is not None:
            return self._notice(event, rule.notice, account)
        if rule.command is None:
            return _ignored("the period's end is known")
        if fact.means in (Means.ENDED, Means.PAUSED) and any(other.is_live for other in others):
            return _ignored("the account lives on by another subscription")
        now = self.transaction.account(account).account
        if is_late(now, fact.created_us, moves):
            return _ignored(
                f"it is of {rfc3339(fact.created_us)}, and the account came to {now.status} by another hand "
                f"at {rfc3339(now.layers[-1].entered_at_us)}: nothing old moves it back"
            )
        return self._command(event, rule.command, rule, now, known)

    def _command(self, event: Event, command: str, rule: Rule, account: Account, known: Known) -> Outcome:
        policy = self.shelf.of(account)
        values = _values(policy, command, event, known)
        request = Request(command, Role.SYSTEM, _who(event).id, reason=rule.reason, values=values)
        try:
            known_us = self.deadlines.known_us(self.transaction, account.id, self.now_us)
            decision = decide(policy, account, request, self.now_us, known_us)
        except (Refused, InputInvalid) as error:
            if error.rule != NO_SUCH_COMMAND:  # elsewhere it is only recorded with its event, as promised
                version = self.transaction.account(account.id).version
                self.refusal = Attempt(account.id, command, _who(event), version), error
            return _ignored(f"not carried out: {error}")
        if not decision.changed:
            return _ignored(f"{command} changes nothing: the account is {account.status} already")
        return Outcome(State.APPLIED, version=self._record(event, policy, decision, values))

    def _notice(self, event: Event, notice: str, account: str) -> Outcome:
        """A change that changes nothing: its effect is owed as any other's."""
        row = self.transaction.account(account).account
        effects = (Effect("notify", {"whom": "owners"}),)
        policy = self.shelf.of(row)
        decision = _aside(policy, row, Command(notice), self.now_us, effects)
        return Outcome(State.APPLIED, version=self._record(event, policy, decision, {}))

    def _period(self, event: Event, account: str, end_us: int) -> int | None:
        """Move the end of the paid period on, never back; the change's version, None where it is known."""
        row = self.transaction.account(account).account
        if end_us <= row.anchors.get(PERIOD_END, 0):
            return None
        policy = self.shelf.of(row)
        now_us = max(self.now_us, row.changed_at_us)
        after = stack.with_anchor(policy, row, PERIOD_END, end_us, now_us)
        return self._record(event, policy, _aside(policy, after, PERIOD, now_us), {PERIOD_END: rfc3339(end_us)})

    def _record(self, event: Event, policy: Policy, decision: Decision, values: dict[str, str]) -> int:
        details = {**values, "event": f"{event.provider.name}:{event.id}"}
        change = self.transaction.record(
            decision, standing(policy, decision.account), _who(event), details=details
        )  # fmt: skip
        self.changes.append(change)
        return change.version


def nothing_meant(event: Event) -> str:
    """Why an event of a type without a rule is ignored."""
    if event.type in event.provider.rules:
        return f"{event.type[:100]} means nothing in this state"
    return f"{event.type[:100]} means nothing to an account"


def is_late(account: Account, created_us: int, moves: set[int]) -> bool:
    """Tell whether the account came to its status after the event, by another hand than billing's; moves: when billing
    moved it. The status it was created in is no such move: who pays first is given an account afterwards."""
    entered_us = account.layers[-1].entered_at_us
    opened = entered_us == account.anchors.get("created")
    return created_us < entered_us and not opened and entered_us not in moves


def _values(policy: Policy, command: str, event: Event, known: Known) -> dict[str, str]:
    """What the command's rows take of what the event can give."""
    rows = policy.commands.get(Command(command), ())
    taken = {need.name for row in rows for need in row.needs}
    given = {name: event.value(name) for name in taken}
    if PERIOD_END in taken and known.period_end_us:
        given[PERIOD_END] = rfc3339(known.period_end_us)
    return {name: value for name, value in given.items() if value is not None}


def _aside(
    policy: Policy, account: Account, command: Command, now_us: int, effects: tuple[Effect, ...] = ()
) -> Decision:
    """A change of no status, beside the rulebook's rows."""
    now_us = max(now_us, account.changed_at_us)
    account = replace(account, changed_at_us=now_us)
    stands = standing(policy, account)
    return Decision(
        account, command, now_us, account.status, account.status, stands.verdict, stands.access, effects, True, ""
    )


def _who(event: Event) -> Who:
    return Who(f"webhook:{event.provider.name}", Role.SYSTEM)
