"""Doctor's look at Redis: is it reached, new enough, and set so that it never throws away what it was given.

Called by `doctor.py` where REDIS_URL is set. Looks only: PING, TIME and INFO, on one connection, within seconds.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Final

from redis.exceptions import RedisError

from deploy.check import FAIL, OK, WARN, Check
from gating.errors import PixelgateError
from gating.redis_client import open_redis
from gating.redis_line import Line

NAME: Final = "redis"
VERSION_MIN: Final = (6, 2)
"""What relay and feed were tried against, downwards: Debian 11 has 6.0, whose XADD knows no partial ids."""
SKEW_SECONDS_MAX: Final = 1.0
"""No lease compares clocks, but a host that far off is off for settlement too (DESIGN 6)."""
FULL_PERCENT: Final = 80.0
SECONDS_MAX: Final = 10.0


@dataclass(frozen=True, slots=True)
class Facts:
    """What INFO and TIME tell. maxmemory 0: no bound. skew_seconds: the server's clock minus ours."""

    version: tuple[int, ...]
    role: str
    policy: str
    used_bytes: int
    maxmemory_bytes: int
    loading: bool
    skew_seconds: float


def redis(url: str) -> Check:
    """Whether the server can be reached and keeps what the relay writes; never with the URL's password."""
    try:
        return assess(asyncio.run(asyncio.wait_for(_look(url), SECONDS_MAX)))
    except PixelgateError as error:
        return Check(NAME, FAIL, str(error), "correct REDIS_URL; docs/redis.md has examples")
    except (RedisError, TimeoutError) as error:
        said = str(error) or f"no answer within {SECONDS_MAX:g} s"
        return Check(NAME, FAIL, said, "start it, or correct REDIS_URL; hits are kept unverified meanwhile")


def assess(facts: Facts) -> Check:
    """The finding; pure. The worst fault gives the result."""
    full = 100.0 * facts.used_bytes / facts.maxmemory_bytes if facts.maxmemory_bytes else 0.0
    version = ".".join(map(str, facts.version))
    found = f"version {version}, {facts.role}, {facts.policy}, clock {facts.skew_seconds:+.3f} s"
    faults = []
    if facts.version < VERSION_MIN:
        faults.append((FAIL, f"upgrade it to {'.'.join(map(str, VERSION_MIN))} or newer"))
    if facts.role != "master":
        faults.append((FAIL, "it is a replica: name the master, or the Sentinels by redis+sentinel://"))
    if facts.policy != "noeviction" and facts.maxmemory_bytes:
        faults.append((FAIL, "set maxmemory-policy noeviction: an evicted account would have no verdict"))
    if full >= FULL_PERCENT:
        faults.append((WARN, f"memory is {full:.0f} % used: raise maxmemory before flips can no longer be announced"))
    if facts.loading:
        faults.append((WARN, "it is loading its data: give it time"))
    if abs(facts.skew_seconds) > SKEW_SECONDS_MAX:
        faults.append((WARN, "its host's clock or this one is off: run NTP on both"))
    result = max((result for result, _ in faults), key=(OK, WARN, FAIL).index, default=OK)
    return Check(NAME, result, found, "; ".join(advice for _, advice in faults))


async def _look(url: str) -> Facts:
    client = open_redis(url, name="pixelgate-doctor")
    line = Line(client)
    try:
        await line.connect()
        before = time.time()
        seconds, micros = await line.call("TIME")
        after = time.time()
        info = _fields(await line.call("INFO"))
    finally:
        await line.close()
        await client.aclose()
    return Facts(
        version=tuple(int(part) for part in info["redis_version"].split(".")[:2]),
        role=info["role"],
        policy=info["maxmemory_policy"],
        used_bytes=int(info["used_memory"]),
        maxmemory_bytes=int(info["maxmemory"]),
        loading=info["loading"] == "1",
        skew_seconds=int(seconds) + int(micros) / 1e6 - (before + after) / 2,
    )


def _fields(info: Any) -> dict[str, str]:
    lines = bytes(info).decode("utf-8", "replace").splitlines()
    return {name: value for name, colon, value in (line.partition(":") for line in lines) if colon}
