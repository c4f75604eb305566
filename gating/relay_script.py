"""RelayScript: the relay's writes to Redis, each one step of `relay.lua` that is carried out whole or not at all.

Called by the relay and by a rebuild. It knows what Redis may answer, and decides nothing about what follows.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

from redis.exceptions import NoScriptError, RedisError, ResponseError

from gating import redis_keys
from gating.feed import StatusChange
from gating.ledger import OutboxRow
from gating.redis_line import Line, Word

SOURCE: Final = files("gating").joinpath("relay.lua").read_bytes()
SHA: Final = hashlib.sha1(SOURCE, usedforsecurity=False).hexdigest()  # EVALSHA's own name for a script
STREAM_CHANGES_MAX: Final = 100_000
"""Changes that the stream keeps, about 40 MB: a worker that missed no more follows it, others page the state."""
_BROKEN_KEYS: Final = ("WRONGTYPE", "smaller than the target stream top item")
"""Replies that say that somebody else wrote to our keys."""


class RebuildNeeded(Exception):
    """What Redis holds cannot be gone on from; the message says why."""


class Outpaced(Exception):
    """A leader with a newer term has written to Redis. term: its number."""

    def __init__(self, term: int) -> None:
        super().__init__(f"a leader of term {term} has taken over")
        self.term = term


@dataclass(frozen=True, slots=True)
class Standing:
    """Where Redis stands. head: of the epoch that was asked about, None while that is not whole; last: the stream's."""

    epoch: str
    term: int
    head: int | None
    has_state: bool
    last: tuple[int, bytes] | None


class RelayScript:
    """The steps, over one connection. Raises RedisError for whatever Redis or the connection has against them."""

    def __init__(self, line: Line, *, stream_changes_max: int = STREAM_CHANGES_MAX) -> None:
        self._line, self._stream_changes_max = line, stream_changes_max

    async def look(self, epoch: str) -> Standing:
        """Where Redis stands, and whether it holds `epoch`. Raises RebuildNeeded where its keys are somebody else's."""
        _, pointed, term, head, state, last, body = await self._one("look", epoch, 0)
        return Standing(
            pointed.decode(),
            int(term),
            None if head is None else int(head),
            bool(state),
            (redis_keys.version_of(last), body) if last else None,
        )

    async def changes(self, epoch: str, term: int, rows: Sequence[OutboxRow]) -> int:
        """Carry changes over in order; the head afterwards, which is never less than the last one's version.

        Raises Outpaced; RebuildNeeded where one does not follow on what is there; RedisError after as many as worked.
        """
        head = 0
        for reply in await self._run(
            [
                _words("change", epoch, term, row.version, row.account, row.payload, self._stream_changes_max)
                for row in rows
            ]
        ):
            word, detail = _checked(reply)
            if word == "gap":
                raise RebuildNeeded(f"the next change does not follow on version {int(detail)}, where Redis stands")
            head = int(detail)
        return head

    async def claim(self, epoch: str, term: int, *, over_term: int = 0, give_up_current: bool = False) -> None:
        """Begin a rebuild under `epoch`, or go on with it. Raises Outpaced.

        over_term: a newer term that stands there, from a ledger that has gone back since. give_up_current: there is no
        room for the old state beside the new one.
        """
        await self._one("claim", epoch, term, over_term, int(give_up_current))

    async def page(self, epoch: str, term: int, changes: Sequence[StatusChange]) -> None:
        """Write accounts' newest changes. Raises RebuildNeeded where the rebuild was lost or taken over meanwhile."""
        await self._one("page", epoch, term, *(word for one in changes for word in (one.account, one.encode())))

    async def finish(self, epoch: str, term: int, version: int) -> None:
        """Have everybody read the new epoch, whole as of `version`. Raises as `page` does."""
        await self._one("finish", epoch, term, version)

    async def _one(self, verb: str, epoch: str, term: int, *more: Word) -> list[Any]:
        (reply,) = await self._run([_words(verb, epoch, term, *more)])
        return _checked(reply)

    async def _run(self, commands: list[list[Word]]) -> list[Any]:
        """Redis forgets scripts when it starts or fails over, and is then told again: every step may be repeated."""
        replies = await self._line.calls(commands)
        if any(isinstance(reply, NoScriptError) for reply in replies):
            await self._line.call("SCRIPT", "LOAD", SOURCE)
            replies = await self._line.calls(commands)
        return replies


def _words(verb: str, epoch: str, term: int, *more: Word) -> list[Word]:
    keys = redis_keys.POINTER, redis_keys.state_of(epoch), redis_keys.head_of(epoch), redis_keys.stream_of(epoch)
    return ["EVALSHA", SHA, len(keys), *keys, verb, epoch, term, *more]


def _checked(reply: Any) -> list[Any]:
    """The reply with its first word as text. Raises what it says."""
    if isinstance(reply, ResponseError) and any(sign in str(reply) for sign in _BROKEN_KEYS):
        raise RebuildNeeded(f"Redis holds something else under our names: {str(reply)[:80]}")
    if isinstance(reply, RedisError):
        raise reply
    word = reply[0].decode()
    if word == "term":
        raise Outpaced(int(reply[1]))
    if word == "lost":
        raise RebuildNeeded(reply[1].decode())
    return [word, *reply[1:]]
