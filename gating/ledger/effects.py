"""Effects as the ledger holds them: what is owed and may be tried now, tries, dead letters, tasks, ended sessions.

Reached as `Ledger.effects`; used by gating/effects. Writes are notes in a turn of their own: no flip waits for one, and
none moves the ledger's version. An outbox row and its try go in one transaction, so that a kill leaves both or neither.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import orjson
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    true,
    update,
)

from gating.errors import NotFound
from gating.ledger import tables
from gating.ledger.retry import noted
from gating.ledger.store import Store

T = TypeVar("T")

PAGE_ROWS: Final = 1_000
ERROR_CHARACTERS_MAX: Final = 300

_owed, _tries, _dead, _tasks = tables.outbox.c, tables.effect_tries.c, tables.effect_dead.c, tables.effect_tasks.c

# Built once: building a statement costs more than running it, and these are run many times a second.
_OWED: Final = select(
    tables.outbox, _tries.tries, _tries.first_at_us, _tries.next_at_us, _tries.last_error
).select_from(tables.outbox.outerjoin(tables.effect_tries, _tries.id == _owed.id))
_PAGE: Final = _OWED.where(tables.EFFECTS, _owed.id > bindparam("after")).order_by(_owed.id).limit(bindparam("limit"))
_FORGET: Final = (
    delete(tables.outbox).where(_owed.id == bindparam("effect")),
    delete(tables.effect_tries).where(_tries.id == bindparam("effect")),
)


@dataclass(frozen=True, slots=True)
class Owed:
    """One effect that is owed. id: the outbox's, never given twice. tries, first_at_us: failures so far, the first."""

    id: int
    account: str
    at_us: int
    kind: str
    arguments: dict[str, Any]
    tries: int = 0
    first_at_us: int | None = None
    next_at_us: int | None = None
    last_error: str | None = None

    @property
    def version(self) -> int:
        """The change that owes it."""
        return self.id // tables.OWED_MAX


@dataclass(frozen=True, slots=True)
class Cause:
    """The change that owes an effect: what a notice tells of it. role: who made it; on_behalf: for which role."""

    command: str
    from_status: str | None
    to_status: str
    role: str
    on_behalf: str | None


@dataclass(frozen=True, slots=True)
class Sums:
    """Of one kind: how many are owed, since when the oldest one is due (None: none is owed), dead letters."""

    owed: int
    oldest_due_us: int | None
    dead: int


class EffectRows:
    """One ledger's effects. Any method may raise Unreachable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    # ---- reading ----------------------------------------------------------------------------------------------------

    def page(self, after: int, limit: int) -> list[Row[Any]]:
        """What is owed beyond an id, oldest first, with how its tries went; at the most `limit`. Rows as they lie: most
        are only passed by, and `owed_of` reads one."""
        with self._store.reading() as connection:
            return list(connection.execute(_PAGE, {"after": after, "limit": limit}).all())

    def owed(self, limit: int = PAGE_ROWS, *, after: int = -1, account: str | None = None) -> list[Owed]:
        """Every effect that is owed (of an account), beyond id `after`, oldest first."""
        wanted = and_(tables.EFFECTS, _owed.id > after, _of(_owed.account, account))
        with self._store.reading() as connection:
            return self._owed(connection, wanted, limit)

    def dead(self, limit: int = PAGE_ROWS, *, after: int = -1, account: str | None = None) -> list[Owed]:
        """Dead letters (of an account), beyond id `after`, oldest first."""
        wanted = select(tables.effect_dead).where(_dead.id > after, _of(_dead.account, account))
        with self._store.reading() as connection:
            rows = connection.execute(wanted.order_by(_dead.id).limit(limit)).all()
        return [
            Owed(r.id, r.account, r.at_us, r.kind, orjson.loads(r.payload), r.tries, last_error=r.last_error)
            for r in rows
        ]

    def tasks(
        self, limit: int = PAGE_ROWS, *, after: tuple[int, int] = (-1, -1), account: str | None = None
    ) -> list[dict[str, Any]]:
        """What people still have to do (for an account), the soonest first, beyond (due, id) `after`."""
        due_us, task = after
        beyond = or_(_tasks.due_at_us > due_us, and_(_tasks.due_at_us == due_us, _tasks.id > task))
        wanted = select(tables.effect_tasks).where(_tasks.done_at_us.is_(None), beyond, _of(_tasks.account, account))
        with self._store.reading() as connection:
            rows = connection.execute(wanted.order_by(_tasks.due_at_us, _tasks.id).limit(limit)).all()
        return [{"id": r.id, "account": r.account, "kind": r.kind, "due_at_us": r.due_at_us} for r in rows]

    def sums(self) -> dict[str, Sums]:
        """By kind."""
        joined = tables.outbox.outerjoin(tables.effect_tries, _tries.id == _owed.id)
        due_us = case(
            (_tries.tries == 0, _tries.next_at_us), else_=_owed.at_us
        )  # what waits for its moment is due then
        owed = (
            select(_owed.kind, func.count().label("n"), func.min(due_us).label("oldest"))
            .select_from(joined).where(tables.EFFECTS).group_by(_owed.kind)
        )  # fmt: skip
        dead = select(_dead.kind, func.count().label("n")).group_by(_dead.kind)
        with self._store.reading() as connection:
            found = {r.kind: Sums(int(r.n), int(r.oldest), 0) for r in connection.execute(owed)}
            for row in connection.execute(dead):
                found[row.kind] = replace(found.get(row.kind, Sums(0, None, 0)), dead=int(row.n))
        return found

    def cause(self, version: int) -> Cause:
        """The change of that version. Raises NotFound."""
        h = tables.history.c
        wanted = select(h.command, h.from_status, h.to_status, h.role, h.on_behalf).where(h.version == version)
        with self._store.reading() as connection:
            row = connection.execute(wanted).first()
        if row is None:
            raise NotFound(f"the history has no version {version}")
        return Cause(row.command, row.from_status, row.to_status, row.role, row.on_behalf)

    def later_effects(self, account: str, version: int) -> set[str]:
        """The names of all effects that changes of the account after `version` had."""
        h = tables.history.c
        wanted = select(h.effects).where(h.account == account, h.version > version)
        with self._store.reading() as connection:
            return {name for names in connection.execute(wanted).scalars() for name in orjson.loads(names)}

    def rest_of_integrations_us(self, account: str, version: int) -> tuple[int | None, int]:
        """The span that a resync owed by change `version` makes up: from the first `stop_integrations` since the resync
        before it (None where nothing stopped them), to the change's own moment. Raises NotFound."""
        h = tables.history.c
        wanted = select(h.version, h.at_us, h.effects).where(h.account == account, h.version <= version)
        with self._store.reading() as connection:
            rows = connection.execute(wanted.order_by(h.version.desc()))
            own = rows.fetchone()
            if own is None or own.version != version:
                raise NotFound(f"the history has no version {version}")
            from_us: int | None = None
            for row in rows:
                names = orjson.loads(row.effects)
                if "resync" in names:
                    break
                from_us = row.at_us if "stop_integrations" in names else from_us
        return from_us, int(own.at_us)

    def sessions_ended_at_us(self, account: str) -> int | None:
        """Sessions that began before it count no longer; None where none were ended."""
        s = tables.sessions_ended.c
        with self._store.reading() as connection:
            found: int | None = connection.execute(select(s.sessions_ended_at_us).where(s.account == account)).scalar()
        return found

    # ---- writing ----------------------------------------------------------------------------------------------------

    def done(self, effects: Collection[int]) -> None:
        """Forget effects that were carried out or no longer apply, in one transaction. Harmless twice."""
        if effects:
            noted(self._store, lambda connection: _forget(connection, effects))

    def defer(self, effect_id: int, until_us: int) -> None:
        """Have an effect wait for its own moment."""
        noted(self._store, lambda connection: _set_try(connection, effect_id, 0, until_us, until_us, None))

    def failed(self, effect: Owed, now_us: int, next_at_us: int, error: str) -> None:
        """Note a try that failed. error: without secrets, cut to ERROR_CHARACTERS_MAX."""
        first_us = effect.first_at_us if effect.tries and effect.first_at_us is not None else now_us
        cut = error[:ERROR_CHARACTERS_MAX]
        noted(self._store, lambda c: _set_try(c, effect.id, effect.tries + 1, first_us, next_at_us, cut))

    def bury(self, effect: Owed, now_us: int, error: str) -> None:
        """Move an effect to the dead letters after one more failed try."""

        def move(connection: Connection) -> None:
            row = connection.execute(select(tables.outbox).where(_owed.id == effect.id)).first()
            if row is None:
                return
            values = {"id": row.id, "account": row.account, "at_us": row.at_us, "kind": row.kind}
            connection.execute(insert(tables.effect_dead).values(
                **values, payload=row.payload, tries=effect.tries + 1, last_error=error[:ERROR_CHARACTERS_MAX],
                died_at_us=now_us,
            ))  # fmt: skip
            _forget(connection, (effect.id,))

        noted(self._store, move)

    def revive(self, effect_id: int) -> None:
        """Owe a dead letter again, under its old id. Raises NotFound."""

        def move(connection: Connection) -> None:
            row = connection.execute(select(tables.effect_dead).where(_dead.id == effect_id)).first()
            if row is None:
                raise NotFound(f"there is no dead letter {effect_id}; `pixelgate effects dead` shows those there are")
            connection.execute(insert(tables.outbox).values(
                id=row.id, account=row.account, at_us=row.at_us, kind=row.kind, payload=row.payload
            ))  # fmt: skip
            connection.execute(delete(tables.effect_dead).where(_dead.id == effect_id))

        noted(self._store, move)

    def add_task(self, effect: Owed, due_at_us: int) -> None:
        """Note what a person has to do. Harmless twice."""

        def add(connection: Connection) -> None:
            if connection.execute(select(_tasks.id).where(_tasks.id == effect.id)).first() is None:
                connection.execute(insert(tables.effect_tasks).values(
                    id=effect.id, account=effect.account, at_us=effect.at_us, kind=effect.kind,
                    payload=orjson.dumps(effect.arguments), due_at_us=due_at_us,
                ))  # fmt: skip

        noted(self._store, add)

    def task_done(self, task_id: int, now_us: int, who: str) -> None:
        """Note that a person did it. Raises NotFound for one that is unknown or done already."""
        going = update(tables.effect_tasks).where(and_(_tasks.id == task_id, _tasks.done_at_us.is_(None)))
        moved = noted(self._store, lambda c: int(c.execute(going.values(done_at_us=now_us, done_by=who)).rowcount))
        if not moved:
            raise NotFound(f"nothing is due under {task_id}; `pixelgate effects due` shows what is")

    def end_sessions(self, account: str, at_us: int) -> None:
        """Have sessions of the account's people that began before `at_us` count no longer; never moved back."""
        s = tables.sessions_ended.c

        def end(connection: Connection) -> None:
            known = connection.execute(select(s.sessions_ended_at_us).where(s.account == account)).scalar()
            if known is None:
                connection.execute(insert(tables.sessions_ended).values(account=account, sessions_ended_at_us=at_us))
            elif known < at_us:
                moved = update(tables.sessions_ended).where(s.account == account)
                connection.execute(moved.values(sessions_ended_at_us=at_us))

        noted(self._store, end)

    def _owed(self, connection: Connection, which: Any, limit: int) -> list[Owed]:
        wanted = _OWED.where(which).order_by(_owed.id).limit(limit)
        return [owed_of(row) for row in connection.execute(wanted)]


def owed_of(row: Row[Any]) -> Owed:
    """One effect, of a row that `page` gave."""
    return Owed(
        row.id, row.account, row.at_us, row.kind, orjson.loads(row.payload), row.tries or 0, row.first_at_us,
        row.next_at_us, row.last_error,
    )  # fmt: skip


def _of(column: ColumnElement[str], account: str | None) -> ColumnElement[bool]:
    """The condition that a row is the account's; none where no account is given."""
    return true() if account is None else column == account


def _forget(connection: Connection, effects: Collection[int]) -> None:
    for statement in _FORGET:
        connection.execute(statement, [{"effect": effect} for effect in effects])


def _set_try(
    connection: Connection, effect_id: int, tries: int, first_us: int, next_us: int, error: str | None
) -> None:
    values = {"tries": tries, "first_at_us": first_us, "next_at_us": next_us, "last_error": error}
    moved = connection.execute(update(tables.effect_tries).where(_tries.id == effect_id).values(**values))
    if not moved.rowcount:
        connection.execute(insert(tables.effect_tries).values(id=effect_id, **values))
