"""What every change of the local API may be given: who acts, and whether to wait for the workers."""

from pydantic import BaseModel, ConfigDict, Field

from gating.actor import Channel, actor_of
from gating.commits import WAIT_SECONDS, Waiting
from gating.ledger import Who
from gating.status import Role


class Change(BaseModel):
    """A body's common part."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    actor: str = Field("local", description="id of who acts; never a name or an address")
    role: Role = Role.OPERATOR
    wait: bool = True
    timeout: float = Field(WAIT_SECONDS, ge=0, le=3600, description="seconds to wait for every worker")

    def who(self, on_behalf: str | None = None) -> Who:
        """For the history."""
        return Who(actor_of(Channel.CLI, self.actor), self.role, on_behalf)

    def waiting(self) -> Waiting:
        """How long the answer may take."""
        return Waiting(self.wait, self.timeout)
