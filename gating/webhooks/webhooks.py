"""Webhooks: the room's parts put together for the gating process."""

from collections.abc import Callable, Coroutine
from typing import Any

from starlette.types import ASGIApp

from gating.config import GatingSettings
from gating.ledger import Ledger
from gating.service import Service
from gating.webhooks.applier import Applier
from gating.webhooks.counts import Counts
from gating.webhooks.inbox import Inbox
from gating.webhooks.mapping import providers
from gating.webhooks.receive import Receiver, Secrets


class Webhooks:
    """`before` takes webhooks in; `works` go on beside serving. leads: whether this service applies events now."""

    def __init__(
        self, settings: GatingSettings, ledger: Ledger, service: Service, *, leads: Callable[[], bool]
    ) -> None:  # fmt: skip
        self.counts = Counts()
        self._applier = Applier(ledger, service, self.counts, leads=leads, keep_days=settings.webhook_keep_days)
        self._inbox = Inbox(ledger, self._applier.wake)
        self._secrets = secrets_of(settings)

    def before(self, app: ASGIApp) -> ASGIApp:
        """The application that takes webhooks and leaves all else to `app`."""
        return Receiver(self._secrets, self._inbox, self.counts, app)

    def works(self) -> list[Coroutine[Any, Any, None]]:
        """Storing, and applying."""
        return [self._inbox.run(), self._applier.run()]


def secrets_of(settings: GatingSettings) -> Secrets:
    """Each provider's secrets in force; only those that have one."""
    given = {name: getattr(settings, f"{name}_secret") or "" for name in providers()}
    found = {name: tuple(word.strip() for word in text.split(",") if word.strip()) for name, text in given.items()}
    return {name: words for name, words in found.items() if words}
