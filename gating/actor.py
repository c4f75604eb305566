"""Actor: how who changed something, and by which channel, stand together in the history's one column. Pure.

`CHANNEL:ID`, and `api:PERSON:TOKEN` where a token stands for a person. What older releases wrote reads on: `local` came
from the command line, `system` is time itself. No column of its own, since the history's rows are chained: a new one
would leave the old rows without what their digests were made of.
"""

from enum import StrEnum
from typing import Final


class Channel(StrEnum):
    """By which way a change came."""

    CLI = "cli"
    API = "api"
    WEBHOOK = "webhook"
    DEADLINE = "deadline"


_OLDER: Final = {"local": Channel.CLI, "system": Channel.DEADLINE}


def actor_of(channel: Channel, *ids: str) -> str:
    """As the history has it."""
    return ":".join((channel.value, *ids))


def channel_of(actor: str) -> str | None:
    """The channel that an actor acted by; None for an actor that tells none."""
    older = _OLDER.get(actor)
    if older is not None:
        return older.value
    named, colon, _ = actor.partition(":")
    return named if colon and named in set(Channel) else None
