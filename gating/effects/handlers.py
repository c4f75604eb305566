"""Which handler carries out which kind, as the settings ask. Kinds that stand nowhere here wait in the outbox."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gating.config import GatingSettings
from gating.datadir import DataDirectory
from gating.effects.notices import addresses, filled, words_of
from gating.effects.protocol import Handler, Sender, Untold, idempotency_key
from gating.effects.senders import File, Mail, Webhook, is_address
from gating.effects.tls import tls_context
from gating.errors import InputInvalid
from gating.ledger import Ledger
from gating.ledger.effects import Cause, Owed
from gating.times import rfc3339

OUTSIDE: Final = ("stop_integrations", "resync", "resume_billing", "stop_billing", "set_plan")
"""Calls to the operator's own systems."""
TASKS: Final = ("backups_due", "new_account")
"""What a person has to do. Revoked keys are never given again, so a new account cannot take an old one's over: the
operator makes one and its sites get new keys."""

InTurn = Callable[[Callable[[], None]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Outside:
    """Hands an effect on as an event."""

    ledger: Ledger
    sender: Sender

    async def carry_out(self, effect: Owed) -> None:
        event = event_of(effect)
        if effect.kind == "resync":
            event["data"]["arguments"] = {**effect.arguments, **await asyncio.to_thread(self._span, effect)}
        await self.sender.send(idempotency_key(effect), event)

    def _span(self, effect: Owed) -> dict[str, str | None]:
        """What the integrations missed; the same at every try, since the history of before stays as it is."""
        from_us, to_us = self.ledger.effects.rest_of_integrations_us(effect.account, effect.version)
        return {"from": None if from_us is None else rfc3339(from_us), "to": rfc3339(to_us)}


@dataclass(frozen=True, slots=True)
class Notify:
    """Tells people: by mail where there is a server, by webhook where there is one, else in the file."""

    ledger: Ledger
    mail: Mail | None
    sender: Sender | None
    operators: tuple[str, ...]

    async def carry_out(self, effect: Owed) -> None:
        whom, key = str(effect.arguments.get("whom", "")), idempotency_key(effect)
        cause = await asyncio.to_thread(self.ledger.effects.cause, effect.version)
        if self.mail is not None:
            here = await asyncio.to_thread(self._written, effect)
            note = here.get("note") or here.get("feedback") or here.get("reason") or "-"
            people = await asyncio.to_thread(self._addresses, effect, whom, cause, here.get("on_behalf", ""))
            if not people and self.sender is None:
                raise Untold(f"nobody to tell: no address of its {whom} is known")
            subject, body = (filled(words, effect.account, cause, note) for words in words_of(cause.command, whom))
            for place, to in enumerate(people):
                await self.mail.mail(f"{key}-{place}", to, subject, body)
        if self.sender is not None:
            told = {"command": cause.command, "from": cause.from_status, "to": cause.to_status}
            await self.sender.send(key, {**event_of(effect), **told})

    def _written(self, effect: Owed) -> Mapping[str, str]:
        """What people wrote at this change."""
        return next(row.details for row in self.ledger.history(effect.account) if row.version == effect.version)

    def _addresses(self, effect: Owed, whom: str, cause: Cause, named: str) -> list[str]:
        if whom == "operators":
            return list(self.operators)
        return addresses(self.ledger.people(effect.account), whom, cause, named)


@dataclass(frozen=True, slots=True)
class Sessions:
    """Ends the sessions of an account's people; API tokens stay."""

    ledger: Ledger
    in_turn: InTurn

    async def carry_out(self, effect: Owed) -> None:
        await self.in_turn(lambda: self.ledger.effects.end_sessions(effect.account, effect.at_us))


@dataclass(frozen=True, slots=True)
class Task:
    """Puts what a person has to do on the list."""

    ledger: Ledger
    in_turn: InTurn

    async def carry_out(self, effect: Owed) -> None:
        due_us = int(effect.arguments.get("at_us", effect.at_us))
        await self.in_turn(lambda: self.ledger.effects.add_task(effect, due_us))


def event_of(effect: Owed) -> dict[str, Any]:
    """An effect as receivers get it."""
    return {
        "type": effect.kind,
        "timestamp": rfc3339(effect.at_us),
        "data": {"account": effect.account, "version": effect.version, "arguments": effect.arguments},
    }


def make_handlers(
    settings: GatingSettings, directory: DataDirectory, ledger: Ledger, in_turn: InTurn
) -> dict[str, Handler]:
    """By kind. Raises InputInvalid for settings that make no sense."""
    tls = tls_context(settings.effects_ca)
    mail = Mail(settings.smtp_url, settings.mail_from or "", tls) if settings.smtp_url else None
    webhook: Sender | None = None
    if settings.webhook_url:
        webhook = Webhook(settings.webhook_url, settings.webhook_secret or "", tls)
    operators = tuple(filter(None, (text.strip() for text in (settings.operators_mail or "").split(","))))
    if not all(map(is_address, operators)):
        raise InputInvalid("PIXELGATE_OPERATORS_MAIL must be e-mail addresses, with commas between them")
    file = File(directory.root / "notices" / "notices.jsonl")
    outside = Outside(ledger, webhook or file)
    notify = Notify(ledger, mail, webhook or (None if mail else file), operators)
    return {
        **dict.fromkeys(OUTSIDE, outside),
        **dict.fromkeys(TASKS, Task(ledger, in_turn)),
        "notify": notify,
        "revoke_sessions": Sessions(ledger, in_turn),
    }
