"""The schema of a rulebook: TOML documents in, rules and faults out.

Called by `policy.py` with the rulebook's own document first and the shared one after it. It checks each value by itself
(words, types, spans); what is wrong with the table as a whole is `rulebook_check.py`'s. docs/rulebooks.md explains it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from gating.rulebook import (
    ANCHORS,
    PERIOD_END,
    DateRule,
    DeadlineRule,
    EffectRule,
    Row,
    StatusRule,
    Through,
)
from gating.rulebook_lines import Path
from gating.rulebook_reader import Reader, dotted
from gating.rulebook_rows import effects_of, moment_of, row_of
from gating.status import Access, Command, Status, Verdict
from gating.workdays import Calendar

TOP_KEYS = (
    "title",
    "start",
    "include",
    "trial",
    "status",
    "command",
    "lapse",
    "reasons",
    "date",
    "calendar",
    "allowance",
    "promise",
)
STATUS_KEYS = ("verdict", "access", "inherit", "deadline", "due", "stops_clock", "through", "promises")
RESERVED = ("create", "lapse", "do", "move")
"""Words of the history and the command line that no rulebook may use for a command of its own."""


@dataclass(slots=True)
class Rules:
    """Everything the documents say, not yet checked as a whole. `start` is None where that is a fault."""

    title: str = ""
    start: Status | None = None
    trial_us: int | None = None
    calendar: Calendar = field(default_factory=Calendar)
    statuses: dict[Status, StatusRule] = field(default_factory=dict)
    commands: dict[Command, tuple[Row, ...]] = field(default_factory=dict)
    lapse_effects: dict[Status, tuple[EffectRule, ...]] = field(default_factory=dict)
    reasons: dict[str, tuple[str, ...]] = field(default_factory=dict)
    dates: dict[str, DateRule] = field(default_factory=dict)
    promises: dict[str, str] = field(default_factory=dict)
    allowances: dict[str, int] = field(default_factory=dict)


def rules_of(readers: list[Reader]) -> Rules:
    """Read the documents, the rulebook's own first: what stands in an earlier one replaces what a later one says."""
    rules = Rules()
    own = readers[0]
    own.keys((), own.data, TOP_KEYS, ("title", "start", "status"))
    for reader in readers[1:]:
        reader.keys((), reader.data, TOP_KEYS, ())
    rules.title = own.typed(("title",), own.data.get("title", ""), str) or ""
    if "start" in own.data:
        rules.start = own.word(("start",), own.data["start"], Status, "status")
    if "trial" in own.data:
        rules.trial_us = own.span_us(("trial",), own.data["trial"])
    rules.calendar = _calendar(own)
    rules.allowances = _allowances(own)
    names = {name for reader in readers for name in _section(reader, "date")}
    for reader in readers:
        for name, value in _section(reader, "promise").items():
            rules.promises.setdefault(name, reader.typed(("promise", name), value, str) or "")
        _statuses(reader, rules, names)
    for reader in readers:
        _dates(reader, rules)
        _commands(reader, rules, names)
        _lapse(reader, rules, names)
        _reasons(reader, rules)
    return rules


def _section(reader: Reader, name: str) -> dict[str, Any]:
    return reader.table((name,), reader.data[name]) if name in reader.data else {}


def _statuses(reader: Reader, rules: Rules, dates: set[str]) -> None:
    for name, value in _section(reader, "status").items():
        path: Path = ("status", name)
        status = reader.word(path, name, Status, "status")
        if status is not None and status not in rules.statuses:
            rules.statuses[status] = _status(reader, path, status, value, dates)


def _status(reader: Reader, path: Path, status: Status, value: Any, dates: set[str]) -> StatusRule:
    table = reader.table(path, value)
    inherits = bool(reader.typed((*path, "inherit"), table.get("inherit", False), bool))
    reader.keys(path, table, STATUS_KEYS, () if inherits else ("verdict", "access"))
    if inherits:
        for key in {"verdict", "access", "deadline"} & table.keys():
            reader.fault((*path, key), f"{dotted(path)} inherits, so it has no {key} of its own")
    verdict, access = Verdict.DROP, Access.NONE  # stand in where something is wrong, and under `inherit`
    if "verdict" in table:
        verdict = reader.word((*path, "verdict"), table["verdict"], Verdict, "verdict") or verdict
    if "access" in table:
        access = reader.word((*path, "access"), table["access"], Access, "access") or access
    deadline = _deadline(reader, (*path, "deadline"), table["deadline"], dates) if "deadline" in table else None
    return StatusRule(
        status,
        verdict,
        access,
        reader.place(path),
        deadline,
        reader.workdays((*path, "due"), table["due"]) if "due" in table else None,
        inherits,
        bool(reader.typed((*path, "stops_clock"), table.get("stops_clock", False), bool)),
        _through(reader, (*path, "through"), table, inherits),
        tuple(text for _, text in reader.texts((*path, "promises"), table.get("promises", []))),
    )


def _through(reader: Reader, path: Path, table: dict[str, Any], inherits: bool) -> Through:
    if "through" not in table:
        return Through.ALL if inherits else Through.NOBODY
    text = reader.one_of(path, table["through"], [word.value for word in Through], "word for 'through'")
    return Through.NOBODY if text is None else Through(text)


def _deadline(reader: Reader, path: Path, value: Any, dates: set[str]) -> DeadlineRule | None:
    when = moment_of(reader, path, value, dates, ("then", "plan"))
    table = value if isinstance(value, dict) else {}
    if "then" not in table:
        reader.fault(path, f"{dotted(path)} lacks 'then': the status it leads to")
        return None
    then = reader.word((*path, "then"), table["then"], Status, "status")
    plans = tuple(text for _, text in reader.texts((*path, "plan"), table.get("plan", [])))
    return None if when is None or then is None else DeadlineRule(when, then, plans)


def _commands(reader: Reader, rules: Rules, dates: set[str]) -> None:
    for name, value in _section(reader, "command").items():
        path: Path = ("command", name)
        if Command(name) in rules.commands:
            continue
        if name in RESERVED or not name.isascii() or not name.replace("_", "a").isalnum() or name != name.lower():
            reader.fault(path, f"{name!r} is no name for a command: small letters, digits and _, none of {RESERVED}")
        tables = value if isinstance(value, list) else [value]
        paths = [(*path, place) for place in range(len(tables))] if isinstance(value, list) else [path]
        rows = [
            row_of(reader, where, name, table, rules.statuses, dates)
            for where, table in zip(paths, tables, strict=True)
        ]
        found = tuple(row for row in rows if row is not None and (row.sources or not reader.shared))
        if found or not reader.shared:
            rules.commands[Command(name)] = found


def _lapse(reader: Reader, rules: Rules, dates: set[str]) -> None:
    for name, value in _section(reader, "lapse").items():
        path: Path = ("lapse", name)
        status = reader.word(path, name, Status, "status")
        if status is not None and status not in rules.lapse_effects:
            effects = effects_of(reader, path, value, dates)
            if status is not Status.DELETED and purges(effects):
                reader.fault(path, f"a lapse to {status} purges: only DELETED may (I9)")
            rules.lapse_effects[status] = effects


def purges(effects: Iterable[EffectRule]) -> bool:
    """Tell whether one of the effects destroys an account's data."""
    return any(effect.name == "purge" for effect in effects)


def _reasons(reader: Reader, rules: Rules) -> None:
    for name, value in _section(reader, "reasons").items():
        path: Path = ("reasons", name)
        codes = tuple(text for _, text in reader.texts(path, value))
        if Command(name) not in rules.commands and not reader.shared:
            reader.fault(path, f"reasons are given for {name!r}, which is no command here")
        rules.reasons.setdefault(name, codes)


def _dates(reader: Reader, rules: Rules) -> None:
    for name, value in _section(reader, "date").items():
        path: Path = ("date", name)
        table = reader.table(path, value)
        reader.keys(path, table, ("statuses", "span", "at_least"), ("statuses", "span"))
        if name in ANCHORS:
            reader.fault(path, f"{name!r} is an anchor that every rulebook has; give the date another name")
        words = [(where, text) for where, text in reader.texts((*path, "statuses"), table.get("statuses", []))]
        statuses = [reader.word(where, text, Status, "status") for where, text in words]
        floors: dict[Status, str] = {}
        for key, anchor in reader.table((*path, "at_least"), table.get("at_least", {})).items():
            status = reader.word((*path, "at_least", key), key, Status, "status")
            text = reader.one_of((*path, "at_least", key), anchor, (PERIOD_END,), "anchor")
            if status is not None and text is not None:
                floors[status] = text
        span_us = reader.span_us((*path, "span"), table.get("span", "0d")) or 0
        known = frozenset(status for status in statuses if status is not None)
        rules.dates.setdefault(name, DateRule(name, known, span_us, floors))


def _allowances(reader: Reader) -> dict[str, int]:
    """By plan, in small letters."""
    found: dict[str, int] = {}
    for plan, value in _section(reader, "allowance").items():
        users = reader.typed(("allowance", plan), value, int)
        if users is not None and users < 0:
            reader.fault(("allowance", plan), f"an allowance of {users}: 0 tracked users are the fewest")
        elif users is not None:
            found[plan.casefold()] = users
    return found


def _calendar(reader: Reader) -> Calendar:
    table = _section(reader, "calendar")
    path: Path = ("calendar",)
    reader.keys(path, table, ("zone", "holidays"), ())
    zone = reader.typed((*path, "zone"), table.get("zone", "UTC"), str) or "UTC"
    holidays = reader.typed((*path, "holidays"), table.get("holidays", []), list) or []
    for place, day in enumerate(holidays):
        if type(day) is not date:
            reader.fault((*path, "holidays", place), f"holidays are dates such as 2026-12-25, not {day!r}")
    try:
        return Calendar(ZoneInfo(zone), frozenset(day for day in holidays if type(day) is date))
    except (KeyError, ValueError, OSError):
        reader.fault((*path, "zone"), f"unknown time zone {zone!r}: a name such as 'Europe/Berlin'")
        return Calendar()
