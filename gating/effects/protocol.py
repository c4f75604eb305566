"""What carries an effect out, and the way a message leaves: the two things the runner and the handlers agree on."""

from collections.abc import Mapping
from typing import Any, Protocol

from gating.ledger.effects import Owed


class NotSent(Exception):
    """An effect was not carried out, or perhaps not. The message goes into the ledger: no secret, no address in it."""


class Untold(Exception):
    """A notice has nobody to go to: no try will change that, so it is done with. The message holds no address."""


class Handler(Protocol):
    """Carries out effects. It may see the same one again, after a kill too: `idempotency_key` is then the same."""

    async def carry_out(self, effect: Owed) -> None:
        """Do it. Raises NotSent, PixelgateError: it is then tried again; Untold: it is then done with."""


class Sender(Protocol):
    """A way out for an event."""

    async def send(self, key: str, event: Mapping[str, Any]) -> None:
        """Hand on one JSON event under its idempotency key. Raises NotSent."""


def idempotency_key(effect: Owed) -> str:
    """The same for every try of one effect, and no other's."""
    return f"effect-{effect.id}"
