"""Whether what is read fast says what the history says: `accounts`, `keys` and `gate` against the rows they come from.

Reads accounts in pages; each page is one snapshot, so that a change meanwhile is no fault.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from gating.account import Account
from gating.feed import KeyState, StatusChange
from gating.ledger.book import settled_state
from gating.ledger.chain import FAULTS_MAX
from gating.ledger.keys import travelling
from gating.ledger.rows import Fault, HistoryRow, KeyRow
from gating.ledger.store import Store
from gating.ledger.tables import accounts, gate, history, keys
from gating.status import Status, Verdict

PAGE_ACCOUNTS: Final = 200


def verify_projections(store: Store) -> list[Fault]:
    """Everywhere a projection and the history differ, at most FAULTS_MAX faults. Raises Unreachable."""
    faults: list[Fault] = []
    after = ""
    while len(faults) < FAULTS_MAX:
        with store.reading() as connection:
            page = _page(connection, after)
        for one in page:
            faults += one.faults()
        if len(page) < PAGE_ACCOUNTS:
            break
        after = page[-1].id
    return faults[:FAULTS_MAX]


@dataclass(frozen=True, slots=True)
class _Projected:
    """All rows about one account id, from one snapshot."""

    id: str
    account: Row[Any] | None
    gate: Row[Any] | None
    keys: list[Row[Any]]
    history: list[Row[Any]]

    def faults(self) -> Iterator[Fault]:
        """What does not agree."""
        try:
            rows = [HistoryRow.of(row) for row in self.history]
            if self.account is None or not rows:
                yield self._fault(
                    0, f"account {self.id!r} has rows, but no {'history' if self.account else 'account row'}"
                )
                return
            yield from self._account_faults(self.account, rows)
            known = _keys_of(rows)
            if {row.write_key: replace(KeyRow.of(row), source=None) for row in self.keys} != known:
                yield self._fault(
                    rows[-1].version, f"the write keys of account {self.id!r} are not those of its history"
                )
            yield from self._gate_faults(_change_of(rows[-1], known))
        except (ValueError, TypeError, KeyError, IndexError) as error:
            yield self._fault(0, f"rows of account {self.id!r} do not read: {error!r}")

    def _fault(self, version: int, message: str) -> Fault:
        return Fault(version, message, self.id, "differs", "projections")

    def _account_faults(self, row: Row[Any], rows: list[HistoryRow]) -> Iterator[Fault]:
        newest, account = rows[-1], Account.from_json(row.state)
        said = {
            "version": (row.version, newest.version),
            "status": (row.status, newest.status),
            "verdict": (row.verdict, newest.verdict),
            "access": (row.access, newest.access),
            "created_at_us": (row.created_at_us, rows[0].at_us),
            "revealed_version": (row.revealed_version, _revealed(rows)),
            "state": (hashlib.sha256(settled_state(account)).digest(), newest.state_digest),
            "rulebook": (row.rulebook, account.rulebook),
            "plan": (row.plan, account.plan),
            "deadline_at_us": (row.deadline_at_us, account.deadline.at_us if account.deadline else None),
        }
        for name, (found, wanted) in said.items():
            if found != wanted:
                yield self._fault(newest.version, f"{name} of account {self.id!r} is not what its history says")

    def _gate_faults(self, wanted: StatusChange) -> Iterator[Fault]:
        found = None if self.gate is None else StatusChange.decode(self.gate.change)
        if (
            self.gate is None
            or found is None
            or self.gate.version != wanted.version
            or _sorted(found) != _sorted(wanted)
        ):
            yield self._fault(wanted.version, f"the gate's row of account {self.id!r} is not its newest change")


def _page(connection: Connection, after: str) -> list[_Projected]:
    """The next accounts by id: of those that have any row at all, since a fault may be that the account's is gone."""
    owned = (gate.c.account, keys.c.account, history.c.account)
    ids = select(accounts.c.id.label("id")).where(accounts.c.id > after).order_by(accounts.c.id).limit(PAGE_ACCOUNTS)
    found = {row.id for row in connection.execute(ids)}
    for column in owned:
        orphans = select(column.label("id")).where(column > after).distinct().order_by(column).limit(PAGE_ACCOUNTS)
        found |= {row.id for row in connection.execute(orphans)}
    wanted = sorted(found)[:PAGE_ACCOUNTS]
    return _projected(connection, wanted)


def _projected(connection: Connection, wanted: list[str]) -> list[_Projected]:
    account_rows = {r.id: r for r in connection.execute(select(accounts).where(accounts.c.id.in_(wanted)))}
    gate_rows = {r.account: r for r in connection.execute(select(gate).where(gate.c.account.in_(wanted)))}
    key_rows: dict[str, list[Row[Any]]] = {}
    for row in connection.execute(select(keys).where(keys.c.account.in_(wanted))):
        key_rows.setdefault(row.account, []).append(row)
    history_rows: dict[str, list[Row[Any]]] = {}
    for row in connection.execute(select(history).where(history.c.account.in_(wanted)).order_by(history.c.version)):
        history_rows.setdefault(row.account, []).append(row)
    return [
        _Projected(id_, account_rows.get(id_), gate_rows.get(id_), key_rows.get(id_, []), history_rows.get(id_, []))
        for id_ in wanted
    ]


def _keys_of(rows: list[HistoryRow]) -> dict[str, KeyRow]:
    """The account's keys, as its history made and revoked them."""
    known: dict[str, KeyRow] = {}
    for row in rows:
        for key in row.keys:
            before = known.get(key.write_key)
            if before is None:
                before = KeyRow(key.write_key, row.account, None, row.at_us, row.version, None)
            known[key.write_key] = replace(before, revoked_at_us=key.revoked_at_us)
    return known


def _revealed(rows: list[HistoryRow]) -> int:
    """The newest change into an ACCEPT status, as `Transaction.record` tells one."""
    revealed, was = 0, None
    for row in rows:
        if row.verdict is Verdict.ACCEPT and (row.to_status != row.from_status or was is not Verdict.ACCEPT):
            revealed = row.version
        was = row.verdict
    return revealed


def _change_of(row: HistoryRow, known: dict[str, KeyRow]) -> StatusChange:
    return StatusChange(
        version=row.version,
        account=row.account,
        at_us=row.at_us,
        status=row.status,
        verdict=row.verdict,
        until_us=row.until_us,
        then=row.then,
        final=row.status is Status.DELETED,
        keys=travelling(known.values(), row.at_us),
    )


def _sorted(change: StatusChange) -> tuple[object, ...]:
    keys: list[KeyState] = sorted(change.keys, key=lambda key: key.write_key)
    return (change.version, change.account, change.at_us, change.status, change.verdict, change.until_us, change.then,
            change.final, keys)  # fmt: skip
