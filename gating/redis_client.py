"""Opens Redis by its URL: one server, one behind TLS, or whatever master a Sentinel names.

Called by the gating service and the collector's workers. It connects to nothing yet: whoever uses the client does. No
command is repeated behind its caller's back: on another server, after a failover, it may mean something else.

    redis://user:password@host:6379/0
    rediss://user:password@host:6379/0?ssl_ca_certs=/etc/ssl/redis-ca.pem
    redis+sentinel://user:password@host1:26379,host2:26379/mymaster/0      (rediss+sentinel: TLS to both)

Query options: `ssl_*` as redis-py takes them; `sentinel_username`, `sentinel_password` where a Sentinel wants its own.
"""

from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from redis.asyncio import Connection, ConnectionPool, Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from gating.errors import InputInvalid

CONNECT_SECONDS: Final = 2.0
"""A server that does not answer within this is away; redis-cli waits as long as the kernel does, which is minutes."""
ANSWER_SECONDS: Final = 2.0
"""A command that is not answered within this: Redis is frozen, swapping or saving, and might as well be away."""
READ_BYTES: Final = 256 * 1024
"""What one reading takes at most: a page of a map comes in one piece, not in eight."""
REDIS_PORT: Final = 6379
SENTINEL_PORT: Final = 26379
_TRUTH: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True)
class RedisPlace:
    """What a URL says. service: the master's name where Sentinels are asked, else None."""

    hosts: tuple[tuple[str, int], ...]
    service: str | None
    tls: bool
    login: dict[str, Any] = field(repr=False)
    sentinel_login: dict[str, Any] = field(repr=False)
    tls_options: dict[str, Any]

    @classmethod
    def parse(cls, url: str) -> "RedisPlace":
        """Raises InputInvalid, without the password and with what it expected."""
        parts = _split(url)
        sentinel = parts.scheme.endswith("+sentinel")
        hosts, user, password = _authority(parts.netloc, SENTINEL_PORT if sentinel else REDIS_PORT)
        path = [unquote(word) for word in parts.path.split("/")[1:] if word]
        service = path.pop(0) if sentinel and path else None
        if sentinel and service is None:
            raise _bad("names no master: redis+sentinel://host:26379/NAME/0")
        if len(hosts) > 1 and not sentinel:
            raise _bad("names several hosts: only redis+sentinel:// takes those")
        if len(path) > 1 or (path and not path[0].isdigit()):
            raise _bad("ends in something else than a database's number")
        options, sentinel_login = _options(parts.query)
        tls = parts.scheme.startswith("rediss")
        if options and not tls:
            raise _bad(f"has option {next(iter(options))!r}, but no TLS: that is rediss://")
        login = {"username": user, "password": password, "db": int(path[0]) if path else 0}
        return cls(hosts, service, tls, login, sentinel_login, options)


def open_redis(url: str, *, name: str = "pixelgate") -> Redis:
    """A client for the server that `url` names; its connections are made when they are needed.

    name: as `CLIENT LIST` shows it. Raises InputInvalid for a URL that does not read, or TLS options that do not go
    together; never with the password in it.
    """
    place = RedisPlace.parse(url)
    common: dict[str, Any] = {
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": ANSWER_SECONDS,
        "socket_read_size": READ_BYTES,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,  # pub/sub and replies in the same shapes on every server from 6.2 on
        "driver_info": None,
    }
    login = {**place.login, "client_name": name}
    if place.service is not None:
        tls = {"ssl": True, **place.tls_options} if place.tls else {}
        asked = {**common, **place.sentinel_login, **tls}
        sentinel = Sentinel(list(place.hosts), sentinel_kwargs=asked)  # type: ignore[no-untyped-call]
        redis: Redis = sentinel.master_for(place.service, **common, **login, **tls)
    else:
        host, port = place.hosts[0]
        kind = SSLConnection if place.tls else Connection
        pool = ConnectionPool(
            connection_class=kind, host=host, port=port, **common, **login, **place.tls_options
        )  # fmt: skip
        redis = Redis(connection_pool=pool)
    try:
        # Not connected: this only takes the options in.
        redis.connection_pool.make_connection()  # type: ignore[no-untyped-call]
    except (TypeError, ValueError, OSError, RedisError) as error:
        raise _bad(f"has options that do not go together: {error}") from None
    return redis


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _bad("does not read") from None
    if parts.scheme not in ("redis", "rediss", "redis+sentinel", "rediss+sentinel") or not parts.netloc:
        raise _bad("is none of redis://, rediss://, redis+sentinel:// and rediss+sentinel://")
    return parts


def _authority(netloc: str, port: int) -> tuple[tuple[tuple[str, int], ...], str | None, str | None]:
    """(hosts, user, password). IPv6 addresses stand in brackets."""
    login, _, places = netloc.rpartition("@")
    user, _, password = login.partition(":")
    hosts = []
    for place in places.split(","):
        try:
            one = urlsplit(f"//{place}")
            hosts.append((one.hostname or "", one.port or port))
        except ValueError:
            raise _bad("has a host or port that does not read") from None
    if not all(host for host, _ in hosts):
        raise _bad("names no host")
    return tuple(hosts), unquote(user) or None, unquote(password) or None


def _options(query: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """(TLS options, the Sentinel's login)."""
    tls: dict[str, Any] = {}
    login: dict[str, Any] = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name in ("sentinel_username", "sentinel_password"):
            login[name.removeprefix("sentinel_")] = text
        elif name.startswith("ssl_"):
            tls[name] = _TRUTH.get(text.lower(), text) if name == "ssl_check_hostname" else text
        else:
            raise _bad(f"has option {name[:40]!r}: there are ssl_*, sentinel_username and sentinel_password")
    return tls, login


def _bad(why: str) -> InputInvalid:
    return InputInvalid(f"REDIS_URL {why}")
