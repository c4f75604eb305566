"""RedisState: the whole state as it stands in Redis, read in pieces that hold the loop for a millisecond each.

Used by the workers' feed, at a start, after a gap and when a saved map is written anew. It reads over one line, so from
one server: a cursor of HSCAN means nothing on another. It checks that what it has read was whole, and moves nothing.
"""

from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Final

from gating import redis_keys
from gating.redis_line import Line

SCAN_ACCOUNTS: Final = 500
"""About 150 KB and half a millisecond of Redis' time; the default of 10 would take fifty times the round trips."""
SLICE_CHANGES: Final = 200
SLICE_BYTES: Final = 64 * 1024
"""A piece ends at either: 200 accounts with a key each, or one with a thousand. About 1 ms of the loop to apply."""


class NotNow(Exception):
    """There is no whole state to be had at the moment; the message says why."""


class RedisState:
    """What one line's server holds. Raises RedisError where that breaks."""

    def __init__(self, line: Line) -> None:
        self._line = line

    async def pointed(self) -> tuple[str, int]:
        """(epoch, head) of the state that is whole. Raises NotNow where there is none."""
        pointed = await self._line.call("HGET", redis_keys.POINTER, redis_keys.POINTER_EPOCH)
        if pointed is None:
            raise NotNow("Redis holds no state yet")
        epoch = pointed.decode()
        head = await self._line.call("GET", redis_keys.head_of(epoch))
        if head is None:
            raise NotNow("the state in Redis is not whole")
        return epoch, int(head)

    async def pieces(self, epoch: str, head: int) -> AsyncGenerator[Sequence[bytes], None]:
        """The newest change of every account, which together stand at `head` or later; at least once each.

        An account that changes meanwhile comes in either state, or both: its change follows in the stream. Raises
        NotNow, at the end, where the state was not whole to the last page.
        """
        async for page in self._pages(epoch):
            for piece in slices(page):
                yield piece
        # Still pointed at, so nobody has taken the state away meanwhile; and no older copy was put in its place.
        if (again := await self.pointed()) != (epoch, max(head, again[1])):
            raise NotNow("another state came in the place of this one while it was read")

    async def _pages(self, epoch: str) -> AsyncGenerator[list[bytes], None]:
        """Page by page; the next one is on its way while one is taken in."""
        state = redis_keys.state_of(epoch)
        await self._line.send("HSCAN", state, 0, "COUNT", SCAN_ACCOUNTS)
        while True:
            cursor, found = await self._line.reply()
            if cursor != b"0":
                await self._line.send("HSCAN", state, cursor, "COUNT", SCAN_ACCOUNTS)
            yield found[1::2]
            if cursor == b"0":
                return


def slices(changes: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Cut a page into pieces of bounded size, in order; one change alone may be larger. Pure."""
    for start in range(0, len(changes), SLICE_CHANGES):
        piece = changes[start : start + SLICE_CHANGES]
        if sum(map(len, piece)) <= SLICE_BYTES:  # the likely case: looking at each change costs a tenth of applying it
            yield piece
        else:
            yield from _by_bytes(piece)


def _by_bytes(changes: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    start = size = 0
    for end, change in enumerate(changes):
        if end > start and size + len(change) > SLICE_BYTES:
            yield changes[start:end]
            start, size = end, 0
        size += len(change)
    yield changes[start:]
