"""Requests: what may be sent, with the bounds of every field; the schemas of the OpenAPI document are made of these.

Strict: a number that is written as a text is refused, and so is a field that nobody knows. No text may hold a NUL,
which no ledger can keep.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel, WithJsonSchema

from gating.account import Request
from gating.commits import WAIT_SECONDS, Waiting
from gating.rest.caller import Caller
from gating.status import Role
from gating.webhooks.mapping import providers

WAIT_SECONDS_MAX = 600
GRACE_SECONDS_MAX = 366 * 24 * 3600
TOKEN_SECONDS_MAX = 3660 * 86400

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", max_length=64)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", max_length=64)]
Text = Annotated[str, Field(pattern=r"^[^\x00]*$", min_length=1, max_length=200)]
LongText = Annotated[str, Field(pattern=r"^[^\x00]*$", max_length=10_000)]
Email = Annotated[str, Field(pattern=r"^[^@\s\x00]+@[^@\s\x00]+$", min_length=3, max_length=254)]
WriteKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$", max_length=64)]
Values = Annotated[
    dict[Name, LongText],
    # Pydantic says which names have such values, not that there are no others.
    WithJsonSchema(
        {
            "type": "object",
            "maxProperties": 16,
            "propertyNames": {"pattern": r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", "maxLength": 64},
            "additionalProperties": {"type": "string", "pattern": r"^[^\x00]*$", "maxLength": 10_000},
        }
    ),
]
OnBehalf = Annotated[str, Field(pattern=r"^[A-Za-z0-9._+-]{1,64}(:[^\x00]{1,254})?$", max_length=319)]
Provider = Annotated[str, Field(max_length=64, json_schema_extra={"enum": list(providers())})]
PersonRole = Literal["owner", "admin", "billing"]
AnyRole = Literal["owner", "admin", "member", "billing", "support", "operator"]
Permission = Literal["billing"]
Permissions = Annotated[list[Permission], Field(max_length=16)]
Expires = Annotated[float, Field(gt=0, le=TOKEN_SECONDS_MAX, allow_inf_nan=False, description="Seconds from now.")]


class Sent(BaseModel):
    """What every body has in common."""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=False)


class WaitedFor(Sent):
    """A change that may be waited for until every worker enforces it."""

    wait: bool = True
    timeout: float = Field(
        WAIT_SECONDS, ge=0, le=WAIT_SECONDS_MAX, allow_inf_nan=False, description="Seconds to wait for every worker."
    )

    @property
    def waiting(self) -> Waiting:
        """How long the answer may take."""
        return Waiting(self.wait, self.timeout)


class NewAccount(WaitedFor):
    """A new account."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"id": "shop", "rulebook": "default", "name": "Shop"}]})

    id: Id | None = Field(None, description="Its id; a random one where none is given.")
    rulebook: Name
    plan: Name | None = None
    owner: Email | None = Field(None, description="Its owner's address; a person of the account comes of it.")
    name: Text | None = None


class Command(WaitedFor):
    """A rulebook's command."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "other", "wait": True}]})

    as_: AnyRole | None = Field(None, alias="as", description="Act in this role, which is not above the token's own.")
    on_behalf: OnBehalf | None = Field(None, alias="for", description="On whose request: a role, or role:person.")
    reason: Name | None = None
    confirm: bool = False
    values: Values = Field(default_factory=dict, alias="set", max_length=16)
    dry_run: bool = False

    def request(self, caller: Caller, command: str, role: Role) -> Request:
        """As the lifecycle takes it. The token's permissions count only in the token's own role."""
        return Request(
            command, role, actor=caller.actor, on_behalf=self.on_behalf, reason=self.reason, confirm=self.confirm,
            values=self.values, permissions=caller.permissions if role is caller.role else frozenset(),
        )  # fmt: skip


class Move(WaitedFor):
    """To another version of the account's rulebook, or to another rulebook."""

    to_rulebook: Name | None = None
    recompute_deadlines: bool = False


class NewKey(WaitedFor):
    """One more write key."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"source": "web"}]})

    source: Text | None = None


class Rotation(WaitedFor):
    """Which keys are replaced: one, all of a source, or the account's only one."""

    key: WriteKey | None = None
    source: Text | None = None
    grace: float = Field(
        0, ge=0, le=GRACE_SECONDS_MAX, allow_inf_nan=False, description="Seconds that the old keys go on."
    )


class Revocation(WaitedFor):
    """Which key stops."""

    key: WriteKey


class _Person(Sent):
    email: Email | None = None


class NewOther(_Person):
    """Somebody new, with all that their role may."""

    role: PersonRole


class NewMember(_Person):
    """Somebody new, who may what members may and what is permitted beside."""

    role: Literal["member"]
    permissions: Permissions = Field(default_factory=list)


class NewPerson(RootModel[NewMember | NewOther]):
    """Somebody new in an account."""


class _Token(Sent):
    expires: Expires | None = None
    person: Id | None = Field(None, description="Whom it stands for: an id, never a name.")


class AccountToken(_Token):
    """Acts for one account."""

    role: Literal["owner", "admin"]
    account: Id


class MemberToken(_Token):
    """Acts for one account, with what is permitted beside what every member may."""

    role: Literal["member"]
    account: Id
    permissions: Permissions = Field(default_factory=list)


class BillingToken(_Token):
    """Acts for one account, or for all where none is given."""

    role: Literal["billing"]
    account: Id | None = None


class StaffToken(_Token):
    """Acts for all accounts."""

    role: Literal["support", "operator", "auditor"]


class NewToken(RootModel[AccountToken | MemberToken | BillingToken | StaffToken]):
    """A new token."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"role": "owner", "account": "shop", "expires": 86400}]})


class Link(Sent):
    """Whose a payment provider's customer is."""

    account: Id
    provider: Provider
    customer: Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,255}$", max_length=255)]


class Nothing(Sent):
    """No body is needed; an empty object is one too."""


def fields_of(model: RootModel[Any]) -> dict[str, Any]:
    """The fields of whichever form was sent."""
    sent: dict[str, Any] = model.root.model_dump()
    return sent
