"""The rows of a rulebook's commands: one table of TOML in, one `Row` out, its words and types checked.

The part of `rulebook_schema.py` that reads who, what and with which effects.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from gating.rulebook import (
    ANCHORS,
    ANYONE,
    PERIOD_END,
    Asker,
    EffectRule,
    Grant,
    Moment,
    Need,
    Row,
    StatusRule,
    To,
)
from gating.rulebook_lines import Path
from gating.rulebook_reader import Reader, dotted
from gating.status import Command, Role, Status, Verdict
from gating.terms import NEEDS

ROW_KEYS: Final = ("from", "to", "by", "needs", "plan", "within", "effects", "advice", "promises")

ANY: Final = "any"
COLLECTING: Final = "collecting"
"""Words for `from`: every status but DELETED and where the row leads; every status that keeps hits."""

PERMISSIONS: Final = ("billing",)
WHOM: Final = ("owners", "admins", "members", "operators", "asker")
EFFECTS: Final[Mapping[str, Mapping[str, type]]] = {
    "stop_integrations": {},
    "resync": {},
    "stop_billing": {"at": str},
    "resume_billing": {},
    "set_plan": {"plan": str, "price": str},
    "rotate_key": {},
    "revoke_sessions": {},
    "notify": {"whom": str},
    "purge": {"keep_billing_years": int},
    "backups_due": {"anchor": str, "span": str},
    "new_account": {},
    "receipt": {},
    "answered": {},
}
"""Every effect with its arguments. `answered` ends the alert of a status with `due` and is carried out at once."""

REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {"notify": ("whom",), "backups_due": ("anchor", "span")}


def row_of(
    reader: Reader, path: Path, command: str, value: Any, statuses: Mapping[Status, StatusRule], dates: Collection[str]
) -> Row | None:
    """One row, or None where it cannot be made; the faults tell why."""
    faults_before = len(reader.faults)
    table = reader.table(path, value)
    reader.keys(path, table, ROW_KEYS, ("from", "to", "by"))
    to = _to(reader, (*path, "to"), table.get("to", "same"), statuses)
    sources = _sources(reader, (*path, "from"), table.get("from", ANY), to, statuses)
    by = tuple(
        grant
        for where, text in reader.texts((*path, "by"), table.get("by", []))
        if (grant := _grant(reader, where, text)) is not None
    )
    needs = tuple(_need(reader, where, text) for where, text in reader.texts((*path, "needs"), table.get("needs", [])))
    plans = tuple(text for _, text in reader.texts((*path, "plan"), table.get("plan", [])))
    within = moment_of(reader, (*path, "within"), table["within"], dates) if "within" in table else None
    effects = effects_of(reader, (*path, "effects"), table.get("effects", []), dates)
    advice = reader.typed((*path, "advice"), table["advice"], str) if "advice" in table else None
    promises = tuple(text for _, text in reader.texts((*path, "promises"), table.get("promises", [])))
    if len(reader.faults) > faults_before or to is None:
        return None
    if not by:
        reader.fault(path, f"{dotted(path)} may be carried out by nobody: 'by' is empty")
        return None
    place = reader.place(path)
    return Row(Command(command), sources, to, by, place, needs, plans, within, effects, promises, advice)


def moment_of(
    reader: Reader, path: Path, value: Any, dates: Collection[str], more: Collection[str] = ()
) -> Moment | None:
    """`anchor + span`. more: keys of the same table that belong to something else."""
    table = reader.table(path, value)
    reader.keys(path, table, ("anchor", "span", *more), ("anchor", "span"))
    anchor = reader.one_of((*path, "anchor"), table.get("anchor", "entered"), (*ANCHORS, *dates), "anchor")
    span_us = reader.span_us((*path, "span"), table.get("span", "0d"))
    return None if anchor is None or span_us is None else Moment(anchor, span_us)


def effects_of(reader: Reader, path: Path, value: Any, dates: Collection[str]) -> tuple[EffectRule, ...]:
    """A list of effects: a name, or a table with `effect` and the effect's arguments."""
    found = reader.typed(path, value, list) or []
    effects = [_effect(reader, (*path, place), effect, dates) for place, effect in enumerate(found)]
    return tuple(effect for effect in effects if effect is not None)


def _to(reader: Reader, path: Path, value: Any, statuses: Mapping[Status, StatusRule]) -> Status | To | None:
    if value in (To.SAME.value, To.PREVIOUS.value):
        return To(value)
    status = reader.word(path, value, Status, "status")
    if status is not None and status not in statuses:
        reader.fault(path, f"{dotted(path)} is {status}, which has no [status.{status}]")
        return None
    return status


def _sources(
    reader: Reader, path: Path, value: Any, to: Status | To | None, statuses: Mapping[Status, StatusRule]
) -> frozenset[Status]:
    if value == ANY:
        return frozenset(statuses) - {Status.DELETED, to}
    if value == COLLECTING:
        collecting = (Verdict.ACCEPT, Verdict.HIDE)
        return frozenset(rule.status for rule in statuses.values() if rule.verdict in collecting and not rule.inherits)
    if isinstance(value, str):
        reader.fault(path, f"{dotted(path)} must be a list of statuses, '{ANY}' or '{COLLECTING}', is {value!r}")
        return frozenset()
    found: set[Status] = set()
    for where, text in reader.texts(path, value):
        status = reader.word(where, text, Status, "status")
        if status is not None and status in statuses:
            found.add(status)
        elif status is not None and not reader.shared:
            reader.fault(where, f"{dotted(path)} names {status}, which has no [status.{status}]")
    if not found and not reader.shared:
        reader.fault(path, f"{dotted(path)} names no status: the row can never fit")
    return frozenset(found)


def _grant(reader: Reader, path: Path, text: str) -> Grant | None:
    """`OWNER`, `MEMBER+billing`, `SUPPORT for OWNER`, `SUPPORT for ANYONE`."""
    by_text, _, for_text = text.partition(" for ")
    by = _asker(reader, path, by_text)
    if not for_text:
        return None if by is None else Grant(by)
    if for_text == ANYONE:
        return None if by is None else Grant(by, anyone=True)
    on_behalf = _asker(reader, path, for_text)
    return None if by is None or on_behalf is None else Grant(by, on_behalf)


def _asker(reader: Reader, path: Path, text: str) -> Asker | None:
    name, plus, permission = text.partition("+")
    role = reader.word(path, name, Role, "role")
    if plus and reader.one_of(path, permission, PERMISSIONS, "permission") is None:
        return None
    return None if role is None else Asker(role, permission or None)


def _need(reader: Reader, path: Path, text: str) -> Need:
    name = text.removesuffix("?")
    reader.one_of(path, name, NEEDS, "need")
    return Need(name, text.endswith("?"))


def _effect(reader: Reader, path: Path, value: Any, dates: Collection[str]) -> EffectRule | None:
    if isinstance(value, str):
        value = {"effect": value}
    table = reader.table(path, value)
    name = reader.one_of((*path, "effect"), table.get("effect", ""), EFFECTS, "effect")
    if name is None:
        return None
    known = EFFECTS[name]
    reader.keys(path, table, ("effect", *known), REQUIRED.get(name, ()))
    for key in known.keys() & table.keys():
        reader.typed((*path, key), table[key], known[key])
    if name == "backups_due":
        moment = moment_of(reader, path, table, dates, ("effect",))
        return None if moment is None else EffectRule(name, {}, moment)
    if name == "notify":
        reader.one_of((*path, "whom"), table.get("whom"), WHOM, "recipient")
    if "at" in table and reader.one_of((*path, "at"), table["at"], (PERIOD_END,), "moment") is not None:
        return EffectRule(name, {}, Moment(PERIOD_END, 0))
    return EffectRule(name, {key: table[key] for key in known if key in table})
