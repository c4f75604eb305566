"""A rulebook as values: which statuses a product has, what each means, and which command leads where.

Made by `policy.py` from TOML, read by `lifecycle.py` and by whoever shows rulebooks. It holds no product's name and
computes nothing but look-ups; docs/rulebooks.md explains every field from the outside.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from gating.account import LAST_ACTIVITY
from gating.status import Access, Command, Role, Status, Verdict
from gating.workdays import Calendar

ENTERED: Final = "entered"
CREATED: Final = "created"
PERIOD_END: Final = "period_end"
ANCHORS: Final = (ENTERED, CREATED, "trial_end", PERIOD_END, "canceled_at", "deleted_at", LAST_ACTIVITY)
"""Moments every rulebook may count from; `[date.NAME]` adds its own. `entered` is the moment the status began."""

FREE: Final = "free"
PAID: Final = "paid"
"""Words of a plan guard: `free` is a plan's name, `paid` any plan but that one."""

OTHER: Final = "other"
"""The reason code that every rulebook has."""

ANYONE: Final = "ANYONE"


class To(StrEnum):
    """Where a command leads when it names no status."""

    SAME = "same"
    PREVIOUS = "previous"


class Through(StrEnum):
    """Whose commands a status lets through to the one beneath, when it has no row for them itself."""

    NOBODY = "nobody"
    SYSTEM = "system"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a rule stands: the file's name and the line, 1 for the first."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a rulebook. `line` is 0 where the file as a whole is meant."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}" if self.line else f"{self.file}: {self.message}"


@dataclass(frozen=True, slots=True)
class Moment:
    """`anchor + span`, the span in microseconds."""

    anchor: str
    span_us: int


@dataclass(frozen=True, slots=True)
class DeadlineRule:
    """At `when` the status becomes `then`; with `plans`, only for accounts on one of them."""

    when: Moment
    then: Status
    plans: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StatusRule:
    """What a status means. `inherits`: verdict, access and deadline are those of what lies beneath.

    stops_clock: deadlines beneath stand still while this status lies on them, but for the period's end.
    due_workdays: within how many working days an answer is owed; None where none is.
    """

    status: Status
    verdict: Verdict
    access: Access
    place: Place
    deadline: DeadlineRule | None = None
    due_workdays: int | None = None
    inherits: bool = False
    stops_clock: bool = False
    through: Through = Through.NOBODY
    promises: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Asker:
    """A role, with the permission it must have beside it (None: the role alone is enough)."""

    role: Role
    permission: str | None = None

    def __str__(self) -> str:
        return self.role.value + (f"+{self.permission}" if self.permission else "")


@dataclass(frozen=True, slots=True)
class Grant:
    """Who may carry a command out, and on whose request: None = on their own; `anyone` = whoever asks."""

    by: Asker
    on_behalf: Asker | None = None
    anyone: bool = False

    @property
    def wants_request(self) -> bool:
        """Tell whether a request by somebody else must be recorded."""
        return self.anyone or self.on_behalf is not None

    def __str__(self) -> str:
        if self.anyone:
            return f"{self.by} for anyone"
        return f"{self.by} for {self.on_behalf}" if self.on_behalf else str(self.by)


@dataclass(frozen=True, slots=True)
class Need:
    """Something a command must be given; `optional` ones may be."""

    name: str
    optional: bool = False


@dataclass(frozen=True, slots=True)
class EffectRule:
    """An effect as the rulebook words it; `when` is resolved to a moment as the decision is made."""

    name: str
    arguments: Mapping[str, str | int] = field(default_factory=dict)
    when: Moment | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a command's table: it fits an account in one of `sources` whose plan and age meet the guards.

    advice: what is shown to whoever is about to give the command; never a condition.
    """

    command: Command
    sources: frozenset[Status]
    to: Status | To
    by: tuple[Grant, ...]
    place: Place
    needs: tuple[Need, ...] = ()
    plans: tuple[str, ...] = ()
    within: Moment | None = None
    effects: tuple[EffectRule, ...] = ()
    promises: tuple[str, ...] = ()
    advice: str | None = None

    def passes(self, role: Role | None = None) -> bool:
        """Tell whether it acts beneath a status that the system's commands alone pass, such as what a billing provider
        tells: a row of the system's own does, one that it shares with people only where the system itself (role) asks.
        """
        systems = [grant.by.role is Role.SYSTEM for grant in self.by]
        return any(systems) and (all(systems) or role is Role.SYSTEM)


@dataclass(frozen=True, slots=True)
class DateRule:
    """A moment of the rulebook's own that outlives a change of status.

    Set to the instant + `span_us` when an account enters one of `statuses` from outside them, cleared when it leaves
    them; `at_least`: by status, the anchor it is never before while in that status.
    """

    name: str
    statuses: frozenset[Status]
    span_us: int
    at_least: Mapping[Status, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Policy:
    """A whole, checked rulebook. `digest` names its content, `text` is all it takes to read it again."""

    name: str
    title: str
    start: Status
    statuses: Mapping[Status, StatusRule]
    commands: Mapping[Command, tuple[Row, ...]]
    lapse_effects: Mapping[Status, tuple[EffectRule, ...]]
    reasons: Mapping[str, tuple[str, ...]]
    dates: Mapping[str, DateRule]
    calendar: Calendar
    trial_us: int | None
    promises: Mapping[str, str]
    overlays: frozenset[Status]
    text: str
    digest: str
    allowances: Mapping[str, int] = field(default_factory=dict)

    def allowance(self, plan: str | None) -> int | None:
        """How many tracked users a month the plan includes; None where the rulebook names no number."""
        return None if plan is None else self.allowances.get(plan.casefold())

    def reason_codes(self, command: str) -> tuple[str, ...]:
        """The reasons a command may be given, `other` last."""
        return (*(code for code in self.reasons.get(command, ()) if code != OTHER), OTHER)


def plan_fits(plans: tuple[str, ...], plan: str | None) -> bool:
    """Tell whether an account on `plan` (None: on none) meets a plan guard; an empty guard holds for everybody."""
    if not plans:
        return True
    if plan is None:
        return False
    name = plan.casefold()
    return any(name == guard.casefold() or (guard == PAID and name != FREE) for guard in plans)
