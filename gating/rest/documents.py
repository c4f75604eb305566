"""Documents: what is answered, for the OpenAPI document. The routes answer what the service made; nothing is made
anew."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from gating.status import Access, Status

Time = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T", examples=["2026-03-01T12:00:00.000000Z"])]
VerdictName = Literal["ACCEPT", "HIDE", "DROP"]


class Answer(BaseModel):
    """Fields may be added in later releases."""

    model_config = ConfigDict(extra="allow")


class Problem(Answer):
    """RFC 9457; `code` is stable."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    exit_code: int


class TokenAnswer(Answer):
    """A token, without its secret."""

    id: str
    role: str
    account: str | None
    person: str | None
    permissions: list[str]
    created_at: Time
    expires_at: Time | None
    revoked_at: Time | None
    used_at: Time | None
    holds: bool


class MadeToken(TokenAnswer):
    """A new token with its secret, which is told this once."""

    token: str


class Me(Answer):
    """What the token that asks may."""

    token: str
    role: str
    account: str | None
    person: str | None
    permissions: list[str]
    acts_as: list[str]
    verbs: list[str]


class Deadline(Answer):
    """What comes by itself."""

    at: Time
    then: Status


class Line(Answer):
    """An account as of now."""

    account: str
    rulebook: str
    plan: str | None
    status: Status
    beneath: list[Status]
    verdict: VerdictName
    access: Access
    deadline: Deadline | None
    created_at: Time
    version: int


class WriteKeyAnswer(Answer):
    """A write key; `revoked_at` may lie ahead."""

    write_key: str
    source: str | None
    created_at: Time
    revoked_at: Time | None


class AccountAnswer(Line):
    """An account with its write keys."""

    rulebook_digest: str
    rulebook_packaged: bool
    keys: list[WriteKeyAnswer]


class _Enforced(Answer):
    enforced: bool
    workers: int
    waited_ms: float


class Created(_Enforced):
    """A new account."""

    account: str
    rulebook: str
    plan: str | None
    status: Status
    write_key: str
    version: int


class Flip(_Enforced):
    """What a command came to; a dry run has no version."""

    account: str
    command: str
    from_: Status = Field(alias="from")
    to: Status
    status: Status
    verdict: VerdictName
    access: Access
    changed: bool
    effects: list[str]
    rule: str
    version: int | None


class Moved(Line):
    """Where the account stands now."""

    changed: bool
    from_rulebook: str
    from_digest: str
    rulebook_digest: str
    enforced: bool


class KeyChange(_Enforced):
    """What became of write keys. `revoked`: which one, or all of them."""

    account: str
    write_key: str | None
    revoked: str | list[str] | None
    version: int


class ChangeAnswer(Answer):
    """One change in the history."""

    version: int
    account: str
    at: Time
    command: str
    from_: Status | None = Field(alias="from")
    to: Status
    status: Status
    verdict: VerdictName
    actor: str
    channel: Literal["cli", "api", "webhook", "deadline"] | None
    role: str
    for_: str | None = Field(alias="for")
    effects: list[str]
    details: dict[str, str]


class HistoryHead(Answer):
    """The newest change's version and digest: kept elsewhere, they show later that nothing was written anew."""

    version: int
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class PersonAnswer(Answer):
    """Somebody who belongs to an account."""

    person: str
    account: str
    role: str
    permissions: list[str]
    email: str | None
    created_at: Time


class PersonRemoved(Answer):
    """Somebody who left."""

    account: str
    person: str
    removed: bool


class Due(Answer):
    """A status change that comes by itself. `overdue`: its moment has come; gates enforce it, and it is being
    recorded."""

    account: str
    status: Status
    at: Time
    then: Status
    overdue: bool


class EffectAnswer(Answer):
    """What a change owes to the world outside."""

    id: int
    account: str
    kind: str
    at: Time
    tries: int
    next: Time | None
    last_error: str | None


class TaskAnswer(Answer):
    """What a person has to do."""

    id: int
    account: str
    kind: str
    due: Time
    overdue: bool


class EffectOwed(Answer):
    """A dead letter that is tried again."""

    id: int
    owed: bool


class TaskDone(Answer):
    """A task that is done."""

    id: int
    done: bool


class Receipt(Answer):
    """What was purged of a deleted account, or what that still waits for."""

    account: str


class Usage(Answer):
    """A month's usage. `mtu`: monthly tracked users."""

    account: str
    month: str
    access: Access
    events: dict[str, int]
    visitors: int
    mtu: int


class BillingEvent(Answer):
    """What a payment provider told."""

    sequence: int
    provider: str
    event: str
    type: str
    state: str
    account: str | None
    created_at: Time
    received_at: Time


class Linked(Answer):
    """Whose a customer is, and how many events wait again."""

    account: str
    provider: str
    customer: str
    retried: int


class _Page(Answer):
    next: str | None


class AccountPage(_Page):
    items: list[Line]


class HistoryPage(_Page):
    items: list[ChangeAnswer]


class KeyPage(_Page):
    items: list[WriteKeyAnswer]


class PeoplePage(_Page):
    items: list[PersonAnswer]


class TokenPage(_Page):
    items: list[TokenAnswer]


class DuePage(_Page):
    items: list[Due]


class EffectPage(_Page):
    items: list[EffectAnswer]


class TaskPage(_Page):
    items: list[TaskAnswer]


class BillingPage(_Page):
    items: list[BillingEvent]
