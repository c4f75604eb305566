"""Book: the accounts one write transaction has loaded, and the rows it will write, in memory until its end.

Used by `transaction.py` alone. Several changes of an account become one update of each of its projections.
"""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

from sqlalchemy import BindParameter, Connection, Dialect, bindparam, insert, select, update
from sqlalchemy.sql.compiler import SQLCompiler

from gating.account import LAST_ACTIVITY, Account, Decision, Standing
from gating.feed import StatusChange
from gating.ledger import tables
from gating.ledger.rows import AccountRow, KeyRow
from gating.ledger.store import is_storable

LOAD_ROWS: Final = 500
"""Ids in one statement; SQLite's own limit has been 32,766 since 3.32, but a statement a length is compiled once."""

_UPDATE_ACCOUNT: Final = update(tables.accounts).where(tables.accounts.c.id == bindparam("b_id"))
_UPDATE_GATE: Final = update(tables.gate).where(tables.gate.c.account == bindparam("b_account"))
_UPDATE_KEY: Final = update(tables.keys).where(tables.keys.c.write_key == bindparam("b_write_key"))
# Built once: building a statement costs as much again as running it. One account is what a flip loads, and without the
# expanding of IN.
_ACCOUNTS: Final = select(tables.accounts, tables.gate.c.change).join(tables.gate)
_KEYS: Final = select(tables.keys).order_by(tables.keys.c.created_version, tables.keys.c.write_key)
_IDS: Final[BindParameter[str]] = bindparam("ids", expanding=True)
_LOAD_ONE: Final = (
    _KEYS.where(tables.keys.c.account == bindparam("ids")),
    _ACCOUNTS.where(tables.accounts.c.id == bindparam("ids")),
)
_LOAD_MANY: Final = (_KEYS.where(tables.keys.c.account.in_(_IDS)), _ACCOUNTS.where(tables.accounts.c.id.in_(_IDS)))
_INSERT: Final = {table.name: insert(table) for table in tables.metadata.tables.values()}


@dataclass(slots=True)
class Loaded:
    """One account as this transaction sees it. `state` and `encoded` are what `accounts` and `gate` will hold."""

    row: AccountRow
    keys: list[KeyRow]
    version_at_load: int
    is_new: bool
    state: str = ""
    encoded: bytes = b""
    # Read from `encoded` when they are asked for: a sweep of deadlines asks for neither.
    _standing: Standing | None = None
    _change: StatusChange | None = None

    @classmethod
    def new(cls, decision: Decision, standing: Standing) -> Self:
        """An account that is about to be created."""
        row = AccountRow(decision.account, standing.verdict, standing.access, 0, 0, decision.at_us)
        return cls(row, [], 0, True, _standing=standing)

    @property
    def newest(self) -> StatusChange:
        """Its newest change."""
        if self._change is None:
            if not self.encoded:
                raise LookupError(f"account {self.row.id!r} has no change yet")
            self._change = StatusChange.decode(self.encoded)
        return self._change

    @property
    def standing(self) -> Standing:
        """What holds for it since its newest change."""
        if self._standing is None:
            now = self.newest
            self._standing = Standing(self.row.verdict, self.row.access, now.until_us, now.then, now.final)
        return self._standing

    def decide(self, decision: Decision, standing: Standing) -> None:
        """Take a decision's outcome over; its version comes with `move`."""
        row = self.row  # spelled out, here and below: `dataclasses.replace` costs ten times as much
        self.row = AccountRow(
            decision.account, standing.verdict, standing.access, row.version, row.revealed_version, row.created_at_us
        )
        self._standing = standing

    def announce(self, change: StatusChange) -> None:
        """Take over its newest change."""
        self._change, self.encoded = change, change.encode()

    def slide(self, account: Account) -> None:
        """Take over what activity moved: no change, so no version."""
        self.row = replace(self.row, account=replace(account, version=self.row.version))
        self.state = self.row.account.to_json()

    def move(self, version: int, keys: list[KeyRow], *, reveals: bool) -> None:
        """Set the account at a version, with its keys as they are then."""
        row, account = self.row, at_version(self.row.account, version)
        revealed = version if reveals else row.revealed_version
        self.row = AccountRow(account, row.verdict, row.access, version, revealed, row.created_at_us)
        self.keys = keys
        self.state = account.to_json()


@dataclass(slots=True)
class Book:
    """What is loaded (None: no such account) and what is to be written."""

    _connection: Connection
    _loaded: dict[str, Loaded | None] = field(default_factory=dict)
    _moved: dict[str, Loaded] = field(default_factory=dict)
    _history: list[dict[str, Any]] = field(default_factory=list)
    _details: list[dict[str, Any]] = field(default_factory=list)
    _outbox: list[dict[str, Any]] = field(default_factory=list)
    _keys_before: dict[str, list[KeyRow]] = field(default_factory=dict)
    _new_keys: set[str] = field(default_factory=set)

    @property
    def changes(self) -> int:
        """How many changes wait to be written."""
        return len(self._history)

    @property
    def is_clean(self) -> bool:
        """Tell whether nothing waits to be written."""
        return not self._moved

    def get(self, account: str) -> Loaded | None:
        """The account, loaded if need be; None where there is none."""
        if account not in self._loaded:
            self.load((account,))
        return self._loaded[account]

    def load(self, accounts: Iterable[str]) -> None:
        """Load those that are not loaded yet."""
        wanted = [account for account in dict.fromkeys(accounts) if account not in self._loaded]
        self._loaded.update((account, None) for account in wanted if not is_storable(account))
        wanted = [account for account in wanted if account not in self._loaded]
        for start in range(0, len(wanted), LOAD_ROWS):
            self._load(wanted[start : start + LOAD_ROWS])

    def key_is_taken(self, write_key: str) -> bool:
        """Tell whether any account has or had the key."""
        found = select(tables.keys.c.account).where(tables.keys.c.write_key == write_key)
        if not is_storable(write_key):
            return False
        return write_key in self._new_keys or self._connection.execute(found).first() is not None

    def add(self, loaded: Loaded, history: dict[str, Any], details: Mapping[str, str]) -> None:
        """Note a change: the account as it is now, its history row and what lies beside that."""
        account, version = loaded.row.id, loaded.row.version
        self._loaded[account] = self._moved[account] = loaded
        self._new_keys.update(row.write_key for row in loaded.keys)
        self._history.append(history)
        self._details += (
            {"version": version, "name": name, "account": account, "text": text} for name, text in details.items()
        )

    def slid(self, loaded: Loaded) -> None:
        """Note that only the account's own row is to be written."""
        self._moved[loaded.row.id] = loaded

    def owe(self, change: StatusChange, rows: Iterable[tuple[str, bytes]]) -> None:
        """Note what the change owes: (kind, payload), in order."""
        first = change.version * tables.OWED_MAX
        for place, (kind, payload) in enumerate(rows):
            if place >= tables.OWED_MAX:
                raise ValueError(f"a change that owes more than {tables.OWED_MAX} things")
            row = {"account": change.account, "at_us": change.at_us, "kind": kind, "payload": payload}
            self._outbox.append({"id": first + place, **row})

    def forget(self) -> None:
        """Drop what is loaded, after all was written: rows were changed behind it."""
        self._loaded.clear()
        self._keys_before.clear()

    def write(self) -> None:
        """Write all rows. What is loaded stays loaded."""
        new = [loaded for loaded in self._moved.values() if loaded.is_new]
        old = [loaded for loaded in self._moved.values() if not loaded.is_new]
        self._many(_INSERT["accounts"], [{"id": one.row.id, **_account_values(one)} for one in new])
        self._many(_UPDATE_ACCOUNT, [{"b_id": one.row.id, **_account_values(one)} for one in old])
        self._many(_INSERT["history"], self._history)
        self._many(_INSERT["details"], self._details)
        self._write_keys()
        self._many(_INSERT["gate"], [{"account": one.row.id, **_gate_values(one)} for one in new])
        self._many(_UPDATE_GATE, [{"b_account": one.row.id, **_gate_values(one)} for one in old])
        self._many(_INSERT["outbox"], self._outbox)
        for loaded in new:
            loaded.is_new = False
        for rows in (self._history, self._details, self._outbox):
            rows.clear()
        self._moved.clear()

    def _load(self, accounts: list[str]) -> None:
        self._loaded.update(dict.fromkeys(accounts))
        keys: dict[str, list[KeyRow]] = {}
        one = len(accounts) == 1
        load_keys, load_accounts = _LOAD_ONE if one else _LOAD_MANY
        ids = {"ids": accounts[0] if one else accounts}
        for row in self._connection.execute(load_keys, ids):
            keys.setdefault(row.account, []).append(KeyRow.of(row))
        for row in self._connection.execute(load_accounts, ids):
            account = AccountRow.of(row)
            rows = keys.get(account.id, [])
            self._loaded[account.id] = Loaded(account, rows, account.version, False, row.state, row.change)
            self._keys_before[account.id] = rows

    def _write_keys(self) -> None:
        new: list[dict[str, Any]] = []
        changed: list[dict[str, Any]] = []
        for account, loaded in self._moved.items():
            before = {row.write_key: row for row in self._keys_before.get(account, [])}
            for row in loaded.keys:
                known = before.get(row.write_key)
                if known is None:
                    new.append({name: getattr(row, name) for name in row.__slots__})
                elif known != row:
                    changed.append(
                        {"b_write_key": row.write_key, "revoked_at_us": row.revoked_at_us, "source": row.source}
                    )
            self._keys_before[account] = loaded.keys
        self._many(_INSERT["keys"], new)
        self._many(_UPDATE_KEY, changed)

    def _many(self, statement: Any, rows: list[dict[str, Any]]) -> None:
        """The driver's own executemany: SQLAlchemy's handling of each row's parameters costs more than the rows do.
        The columns are numbers, texts and bytes, which both drivers take as they are."""
        if rows:
            compiled = _compiled(statement, self._connection.dialect, tuple(rows[0]))
            order = compiled.positiontup
            given = rows if order is None else [tuple([row[name] for name in order]) for row in rows]
            self._connection.exec_driver_sql(str(compiled), given)


def _account_values(loaded: Loaded) -> dict[str, Any]:
    row, deadline = loaded.row, loaded.row.account.deadline
    return {
        "rulebook": row.account.rulebook,
        "plan": row.account.plan,
        "status": row.status,
        "verdict": int(row.verdict),
        "access": row.access,
        "version": row.version,
        "revealed_version": row.revealed_version,
        "created_at_us": row.created_at_us,
        "deadline_at_us": None if deadline is None else deadline.at_us,
        "state": loaded.state,
    }


def settled_state(account: Account) -> bytes:
    """The account without what slides with its activity: what a history row's `state_digest` is of."""
    anchors = {name: at_us for name, at_us in account.anchors.items() if name != LAST_ACTIVITY}
    layers = tuple(
        [
            layer if layer.deadline is None or layer.deadline.fixed else replace(layer, deadline=None)
            for layer in account.layers
        ]
    )
    return Account(
        account.id, account.rulebook, account.rulebook_digest, account.plan, layers, anchors, account.changed_at_us,
        account.version, account.last_command,
    ).to_json().encode()  # fmt: skip


def at_version(account: Account, version: int) -> Account:
    """The account as the ledger's change of that number leaves it."""
    return Account(
        account.id, account.rulebook, account.rulebook_digest, account.plan, account.layers, account.anchors,
        account.changed_at_us, version, account.last_command,
    )  # fmt: skip


@functools.lru_cache(maxsize=64)
def _compiled(statement: Any, dialect: Dialect, columns: tuple[str, ...]) -> SQLCompiler:
    """The statement in the engine's words, its values in the order in which the driver takes them."""
    compiled = statement.compile(dialect=dialect, column_keys=columns)
    if not isinstance(compiled, SQLCompiler):
        raise TypeError(f"{statement} is no statement of values")
    return compiled


def _gate_values(loaded: Loaded) -> dict[str, Any]:
    return {"version": loaded.newest.version, "change": loaded.encoded}
