"""HTTP body: read whole, and no further than it may be long or take, by whoever stands before an application.

Plain ASGI. Used by the door of the admin API and by the webhooks; each words the refusals in its own way.
"""

import asyncio

from starlette.types import Receive


class BodyTooLong(Exception):
    """It has more bytes than it may."""


class BodyTooSlow(Exception):
    """It took longer than it may."""


class BodyBrokenOff(Exception):
    """Whoever sent it has hung up."""


async def read_whole(receive: Receive, bytes_max: int, seconds_max: float) -> bytes:
    """The body of the request that `receive` is of. Raises BodyTooLong, BodyTooSlow, BodyBrokenOff."""
    chunks: list[bytes] = []
    size, more = 0, True
    try:
        async with asyncio.timeout(seconds_max):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise BodyBrokenOff
                chunks.append(message.get("body", b""))
                size, more = size + len(chunks[-1]), message.get("more_body", False)
                if size > bytes_max:
                    raise BodyTooLong
    except TimeoutError as error:
        raise BodyTooSlow from error
    return b"".join(chunks)
