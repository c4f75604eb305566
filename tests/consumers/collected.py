"""Accounts whose hits really are collected: a worker's gate and group decide each by the ledger's changes and write to
a real journal, which a consumer takes into its warehouse. Time is a number that the test moves."""

from collections.abc import Mapping
from dataclasses import replace

from collector.gate import Gate, boot_ns
from collector.group import Group
from collector.outcome import Outcome
from gating.account import Decision
from gating.feed import StatusChange
from gating.ledger import SYSTEM, Who
from gating.lifecycle import standing
from gating.rulebook import Policy
from gating.status import LAPSE, Role
from tests.collector.http.test_group import Tick
from tests.consumers.house import House, head
from tests.gating.reached import Way

OPERATOR = Who("tests", Role.OPERATOR)


class Nobody:
    """Waits for an answer and does nothing with it."""

    def committed(self, kept: bool) -> None:
        pass


class Collected:
    """One house's accounts under one rulebook, and the worker that answers for them."""

    def __init__(self, house: House, policy: Policy) -> None:
        self.house, self.policy = house, policy
        self.keys: dict[str, str] = {}  # each account's first
        self._versions: dict[str, int] = {}
        self.gate = Gate(boot_ns)
        self.outcomes = [0] * len(Outcome)
        self._tick = Tick()
        self._group = Group(self.gate, house.journal, self.outcomes, self._tick, self._fail)
        with house.ledger.begin() as transaction:
            transaction.keep_rulebook(policy.digest, policy.name, policy.text)

    def _fail(self, error: BaseException) -> None:
        raise AssertionError from error

    def take(self, account: str, way: Way, details: Mapping[str, str] | None = None) -> None:
        """What was decided becomes the ledger's, and reaches the worker."""
        for decision in way:
            self._apply(account, self._record(account, decision, details))

    def _record(self, account: str, decision: Decision, details: Mapping[str, str] | None) -> StatusChange:
        named = replace(decision.account, id=account, version=self._versions.get(account, 0))
        decision, stands = replace(decision, account=named), standing(self.policy, named)
        with self.house.ledger.begin() as transaction:
            if account not in self._versions:
                return transaction.create_account(decision, stands, OPERATOR)
            who = SYSTEM if decision.command == LAPSE else OPERATOR
            return transaction.record(decision, stands, who, details=details)

    def add_key(self, account: str, source: str, at_us: int) -> str:
        with self.house.ledger.begin() as transaction:
            change = transaction.add_key(account, at_us=at_us, who=OPERATOR, source=source)
        self._apply(account, change)
        return change.keys[-1].write_key

    def rotate(self, account: str, source: str, at_us: int) -> str:
        with self.house.ledger.begin() as transaction:
            made = transaction.rotate_key(account, at_us=at_us, who=OPERATOR, source=source)
        self._apply(account, made.change)
        return made.write_key

    def _apply(self, account: str, change: StatusChange) -> None:
        self._versions[account] = change.version
        self.keys.setdefault(account, change.keys[0].write_key if change.keys else "")
        self.gate.apply(change)
        self.gate.stand(change.version)

    def hit(self, key: str, visitor: str, at_us: int) -> Outcome:
        """Fire one hit at that moment; what became of it."""
        before = list(self.outcomes)
        self.gate.set_clock(at_us, boot_ns())
        self.gate.lease(boot_ns() + 10**10)
        self._group.add(Nobody(), key.encode(), b"203.0.113.7", head(key, f"v={visitor}"))
        self._tick.end()
        (outcome,) = [Outcome(n) for n, count in enumerate(self.outcomes) if count > before[n]]
        return outcome
