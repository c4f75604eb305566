"""Conninfo: a PostgreSQL URL, as people write it, made what libpq is given. Pure; used by `postgres.py` and `wake.py`.

libpq reads the URL itself, so whatever psql takes works here: several hosts, `sslmode`, `options`, a service or
password file, a Unix socket. What is added bounds every wait.
"""

from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict

from gating.errors import InputInvalid

CONNECT_SECONDS: Final = 5
"""As long as a statement waits for a lock: a server that is starting refuses at once, and one that is away stays so."""

_DEFAULTS: Final = {
    "connect_timeout": CONNECT_SECONDS,
    "application_name": "pixelgate",
    # A peer that vanished without a word is noticed after 10 + 3 * 5 s, idle connections included.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,  # milliseconds; what was sent and is not acknowledged
}
_FIXED: Final = {
    # A standby lags, and its locks are its own: nobody would wait there for the primary's writers (I5).
    "target_session_attrs": "primary",
    "client_encoding": "UTF8",
}


def connection_parameters(url: str) -> dict[str, Any]:
    """What libpq is given for a URL. Raises InputInvalid; the URL may hold a password, so none of it is repeated."""
    scheme, _, rest = url.partition("://")
    try:
        given = conninfo_to_dict(f"{scheme.partition('+')[0]}://{rest}")
        ports = [int(port) for port in str(given.get("port", "")).split(",") if port]
    except (psycopg.ProgrammingError, ValueError):
        ports = [0]
    if any(not 0 < port < 65536 for port in ports):
        raise InputInvalid("the ledger's URL does not read: expected postgresql://user:password@host:port/database")
    return {**_DEFAULTS, **given, **_FIXED}


def place_of(parameters: dict[str, Any]) -> str:
    """Where the ledger lies, for messages: hosts and database, never the password."""
    host = parameters.get("hostaddr") or parameters.get("host") or "this host"
    return f"{parameters.get('dbname') or 'its database'!s} at PostgreSQL {host}:{parameters.get('port') or 5432}"
