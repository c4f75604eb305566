"""The first operator's token of `run`: something to ask the admin API with before anything was set up."""

from typing import TYPE_CHECKING

from gating.status import Role

if TYPE_CHECKING:
    from gating.gateway import Gateway


def first_token(gateway: "Gateway") -> str | None:
    """A new operator's token where there is none that holds; it is told this once. None where there is one already."""
    if any(token["role"] == Role.OPERATOR and token["holds"] for token in gateway.tokens()):
        return None
    made = gateway.create_token(role=Role.OPERATOR, account=None, person=None, permissions=[], expires=None)
    return str(made["token"])
