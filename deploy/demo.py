"""The demo account of `run`: something to fire pixels at before anything was set up."""

from typing import TYPE_CHECKING, Final

from gating.errors import NotFound, PixelgateError
from gating.status import Status

if TYPE_CHECKING:
    from gating.gateway import Gateway

DEMO_ACCOUNT: Final = "demo"
DEMO_RULEBOOK: Final = "default"


def demo_write_key(gateway: "Gateway") -> str | None:
    """A live write key of the demo account, opened where it is missing; None where it was deleted or lost its keys."""
    try:
        account = gateway.account(DEMO_ACCOUNT)
    except PixelgateError as error:
        if error.code != NotFound.code:  # by its code: the process that answers may be another one
            raise
        account = gateway.create_account(DEMO_ACCOUNT, rulebook=DEMO_RULEBOOK, name="Demo")
        return str(account["write_key"])
    if account["status"] == Status.DELETED:
        return None
    live = (str(key["write_key"]) for key in account["keys"] if not key["revoked_at"])
    return next(live, None)


def image_tag(collector_url: str, write_key: str) -> str:
    """What a page needs to fire a pixel."""
    return f'<img src="{collector_url}/p/{write_key}.gif" width="1" height="1" alt="">'
