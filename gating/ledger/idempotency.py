"""Idempotency: what changes answered that were asked for under a key of the caller's, as the ledger keeps it.

Called inside the change's own transaction, so that there is an answer if and only if there was the change. `scope` is
the token's id: callers' keys never meet.
"""

from dataclasses import dataclass
from typing import Any, Final

import orjson
from sqlalchemy import Connection, delete, insert, select

from gating.ledger.tables import idempotency
from gating.status import DAY_US

KEPT_US: Final = DAY_US
"""How long a key is known: nobody tries the same request again for longer."""
SWEEP_ROWS: Final = 1_000
"""Rows in one sweep: some milliseconds that a flip may wait."""

_row = idempotency.c


@dataclass(frozen=True, slots=True)
class Answered:
    """request: the SHA-256 of what was asked. answer: the change's document."""

    request: bytes
    answer: dict[str, Any]


def find(connection: Connection, scope: str, key: str) -> Answered | None:
    """What was answered under the key; None where nothing was."""
    wanted = select(_row.request, _row.answer).where(_row.scope == scope, _row.key == key)
    row = connection.execute(wanted).first()
    return None if row is None else Answered(bytes(row.request), orjson.loads(row.answer))


def keep(
    connection: Connection, scope: str, key: str, answered: Answered, *, account: str, at_us: int
) -> None:  # fmt: skip
    """Keep an answer under a key that has none."""
    connection.execute(
        insert(idempotency).values(
            scope=scope, key=key, request=answered.request, account=account, at_us=at_us,
            answer=orjson.dumps(answered.answer).decode(),
        )
    )  # fmt: skip


def erase_account(connection: Connection, account: str) -> int:
    """Forget what was answered about an account; how many rows went."""
    return int(connection.execute(delete(idempotency).where(_row.account == account)).rowcount)


def sweep(connection: Connection, before_us: int, rows_max: int = SWEEP_ROWS) -> int:
    """Forget answers of before that time, the oldest first, about `rows_max` of them; how many went."""
    oldest = select(_row.at_us).where(_row.at_us < before_us).order_by(_row.at_us).limit(rows_max)
    moments = list(connection.execute(oldest).scalars())
    if not moments:
        return 0
    return int(connection.execute(delete(idempotency).where(_row.at_us <= moments[-1])).rowcount)
