"""One account's life for tests: time is a number that the test moves, every decision is kept."""

from dataclasses import dataclass, field
from typing import Self

from gating.account import Account, Decision, Request, Standing
from gating.lifecycle import carry_out, due, open_account, standing
from gating.rulebook import Policy
from gating.status import DAY_US, Role, Status, Verdict
from gating.times import parse_rfc3339

START_US = parse_rfc3339("2026-03-01T00:00:00Z")


@dataclass
class Life:
    """An account under a rulebook, the time it is, and all that happened to it."""

    policy: Policy
    now_us: int = START_US
    decisions: list[Decision] = field(default_factory=list)

    @classmethod
    def begin(cls, policy: Policy, plan: str | None = None, now_us: int = START_US) -> Self:
        return cls(policy, now_us, [open_account(policy, "shop", plan, now_us)])

    @property
    def account(self) -> Account:
        return self.decisions[-1].account

    @property
    def status(self) -> Status:
        return self.account.status

    @property
    def standing(self) -> Standing:
        return standing(self.policy, self.account)

    @property
    def verdict(self) -> Verdict:
        return self.standing.verdict

    @property
    def effects(self) -> list[str]:
        """The names of the newest decision's effects."""
        return [effect.name for effect in self.decisions[-1].effects]

    @property
    def day(self) -> float:
        return (self.now_us - START_US) / DAY_US

    def do(self, command: str, role: Role = Role.OWNER, **given: object) -> Decision:
        """Carry the command out now; returns its own decision. What is not a field of Request is a `--set`."""
        fields = {name: given.pop(name) for name in _FIELDS & given.keys()}
        request = Request(command, role, values={name: str(value) for name, value in given.items()}, **fields)
        decisions = carry_out(self.policy, self.account, request, self.now_us)
        self.decisions += [decision for decision in decisions if decision.changed]
        return next(decision for decision in decisions if decision.command == command)

    def wait(self, days: float) -> Self:
        """Let time pass; whatever comes due meanwhile happens."""
        self.now_us += round(days * DAY_US)
        self.decisions += due(self.policy, self.account, self.now_us)
        return self

    def just_before(self, days: float) -> Self:
        """Let time pass up to the last microsecond before `days` are over."""
        self.wait(days - 1 / DAY_US)
        return self


_FIELDS = frozenset({"actor", "on_behalf", "reason", "confirm", "permissions", "on_file"})
