"""What a rulebook needs to know of an account, and what comes of asking it something: plain values, nothing else.

`lifecycle.py` computes with them, the ledger stores them, service and API hand them on. An account holds ids and
moments, never names, addresses or reasons, so it may stand beside the history for ever. Times are microseconds UTC.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

import orjson

from gating.status import Access, Command, Role, Status, Verdict

LAST_ACTIVITY: Final = "last_activity"
"""The one anchor that slides: a deadline on it may move on with every hit, so it is never promised to the edge."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """At `at_us` the status becomes `then` by itself. `anchor`: what the moment was counted from."""

    at_us: int
    then: Status
    anchor: str

    @property
    def fixed(self) -> bool:
        """Tell whether the moment is certain enough to be enforced at the edge ahead of time."""
        return self.anchor != LAST_ACTIVITY


@dataclass(frozen=True, slots=True)
class Layer:
    """One status of the stack: the topmost counts, those beneath wait to come back.

    deadline: computed on entering and stored; an edit of the rulebook moves none.
    remaining_us: the time left when a layer above stopped this one's clock; `deadline.at_us` is then of no use.
    due_us: by when somebody should answer (an alert, no change); answered: somebody has.
    inherits: verdict, access and deadline are those of the layer beneath.
    """

    status: Status
    entered_at_us: int
    deadline: Deadline | None = None
    remaining_us: int | None = None
    due_us: int | None = None
    answered: bool = False
    inherits: bool = False


@dataclass(frozen=True, slots=True)
class Account:
    """All that policy needs of an account.

    rulebook_digest: the version of the rulebook it lives under, until it is moved to another explicitly.
    layers: its statuses, lowest first; never empty.
    anchors: named moments that deadlines are counted from (`created`, `trial_end`, `period_end`, `canceled_at`, ...).
    changed_at_us: its last change; no later one is dated before it. version: the ledger's number of it, 0 = none yet.
    last_command: what led to the present status, so that a repetition of it is known as one.
    """

    id: str
    rulebook: str
    rulebook_digest: str
    plan: str | None
    layers: tuple[Layer, ...]
    anchors: Mapping[str, int]
    changed_at_us: int
    version: int = 0
    last_command: Command | None = None

    @property
    def status(self) -> Status:
        """The status that counts: the topmost."""
        return self.layers[-1].status

    @property
    def beneath(self) -> tuple[Status, ...]:
        """What lies beneath the status, nearest last."""
        return tuple(layer.status for layer in self.layers[:-1])

    @property
    def deadline_index(self) -> int:
        """Which layer's deadline runs: the topmost that does not inherit."""
        index = len(self.layers) - 1
        while index > 0 and self.layers[index].inherits:
            index -= 1
        return index

    @property
    def deadline(self) -> Deadline | None:
        """The deadline that comes next, or None. One under a stopped clock does not run."""
        layer = self.layers[self.deadline_index]
        return layer.deadline if layer.remaining_us is None else None

    @property
    def due_us(self) -> int | None:
        """By when the operators owe an answer; None where none is owed (any more)."""
        top = self.layers[-1]
        return None if top.answered else top.due_us

    @property
    def answered(self) -> bool:
        """Tell whether what the status waits for has been answered."""
        return self.layers[-1].answered

    def to_json(self) -> str:
        """JSON with sorted keys, for the ledger's column: equal accounts give equal text."""
        return orjson.dumps(self, option=orjson.OPT_SORT_KEYS).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Inverse of `to_json`. Raises ValueError, KeyError or TypeError on anything else."""
        fields: dict[str, Any] = orjson.loads(text)
        fields["layers"] = tuple(_layer(layer) for layer in fields["layers"])
        return cls(**fields)


def _layer(fields: dict[str, Any]) -> Layer:
    fields["status"] = Status(fields["status"])
    if fields["deadline"] is not None:
        deadline = fields["deadline"]
        fields["deadline"] = Deadline(deadline["at_us"], Status(deadline["then"]), deadline["anchor"])
    return Layer(**fields)


@dataclass(frozen=True, slots=True)
class Request:
    """One command as it was asked for.

    actor: the id of who carries it out; permissions: what it may beside its role (`billing`).
    on_behalf: on whose request, as `role` or `role:person`, such as `owner` or `owner:ana@example.org`.
    values: the `--set NAME=VALUE`s. on_file: what the ledger holds under `company` and `email`, for commands that
    want them named; not needed otherwise.
    """

    command: str
    role: Role
    actor: str = ""
    on_behalf: str | None = None
    reason: str | None = None
    confirm: bool = False
    values: Mapping[str, str] = field(default_factory=dict)
    permissions: frozenset[str] = frozenset()
    on_file: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Effect:
    """Something to be carried out because of a decision, at least once: `name` and its resolved arguments.

    Arguments ending in `_us` are moments; those that stem from a request's values are strings.
    """

    name: str
    arguments: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """What a command or a deadline comes to.

    account: as it is afterwards (`version` still that of before). from_, to: the statuses of the layer it acted on,
    which lies beneath the account's own status where that lets commands through.
    verdict, access: what holds for the account afterwards. changed: False for a repetition, which is not recorded.
    rule: the line of the rulebook that decided, such as `default.toml:31`.
    """

    account: Account
    command: Command
    at_us: int
    from_: Status
    to: Status
    verdict: Verdict
    access: Access
    effects: tuple[Effect, ...]
    changed: bool
    rule: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What the gate needs: `verdict` now, from `until_us` on `then`; both None where nothing fixed is scheduled."""

    verdict: Verdict
    access: Access
    until_us: int | None
    then: Verdict | None
    final: bool
