"""A desk: carries rulebook commands out on a ledger, with a clock that the test moves. Also run as a process."""

from gating.account import Request
from gating.ledger import SYSTEM, Who
from gating.lifecycle import decide, due, open_account, standing
from gating.policy import load_rulebook
from gating.status import LAPSE, Role

START_US = 1_772_366_400_000_000  # 2026-03-01T12:00:00Z
OPERATOR = Who("cli", Role.OPERATOR)
POLICY = load_rulebook("default")


class Desk:
    def __init__(self, ledger, now_us=START_US):
        self.ledger = ledger
        self.now_us = now_us

    def later(self, us):
        self.now_us += us
        return self.now_us

    def open(self, account="shop", **given):
        with self.ledger.begin() as transaction:
            return self.open_in(transaction, account, **given)

    def open_in(self, transaction, account, **given):
        decision = open_account(POLICY, account, None, self.now_us)
        return transaction.create_account(decision, standing(POLICY, decision.account), OPERATOR, **given)

    def do(self, command, account="shop", *, details=None, who=OPERATOR):
        with self.ledger.begin() as transaction:
            self.pass_deadlines(transaction, account)
            decision = self.decision(transaction.account(account).account, command)
            return transaction.record(decision, standing(POLICY, decision.account), who, details=details)

    def decision(self, account, command):
        reason = "abuse" if command == "suspend" else None
        request = Request(command, Role.OPERATOR, "cli", reason=reason, confirm=True)
        return decide(POLICY, account, request, self.now_us)

    def pass_deadlines(self, transaction, account):
        made = []
        for decision in due(POLICY, transaction.account(account).account, self.now_us):
            assert decision.command == LAPSE
            made.append(transaction.record(decision, standing(POLICY, decision.account), SYSTEM))
        return made

    def sweep(self):
        accounts = [come.id for come in self.ledger.come(self.now_us)]
        with self.ledger.begin() as transaction:
            transaction.load(accounts)
            return [change for account in accounts for change in self.pass_deadlines(transaction, account)]

    def add_key(self, account="shop", **given):
        with self.ledger.begin() as transaction:
            return transaction.add_key(account, at_us=self.now_us, who=OPERATOR, **given)

    def revoke_key(self, write_key, account="shop", **given):
        with self.ledger.begin() as transaction:
            return transaction.revoke_key(account, write_key, at_us=self.now_us, who=OPERATOR, **given)

    def rotate_key(self, account="shop", **given):
        with self.ledger.begin() as transaction:
            return transaction.rotate_key(account, at_us=self.now_us, who=OPERATOR, **given)
