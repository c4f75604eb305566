"""Mappings: what each provider's events mean, read from the TOML files beside this module.

They come with the release, so a fault in one is met at start and by the tests: `MappingInvalid`, which names the key.
"""

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from gating.errors import GatingError
from gating.webhooks.order import Means
from gating.webhooks.signature import SCHEMES, Scheme

_HERE: Final = Path(__file__).parent
Paths = tuple[str, ...]
T = TypeVar("T")


class MappingInvalid(GatingError):
    """A provider's mapping has a fault."""

    code = "mapping_invalid"


@dataclass(frozen=True, slots=True)
class ObjectPaths:
    """Where an object tells of what."""

    subscription: Paths
    invoice: Paths
    period_end: Paths
    customer: Paths
    account: Paths


@dataclass(frozen=True, slots=True)
class PaymentPaths:
    """Which event types are payments, and where they tell of them."""

    types: Paths
    transaction: Paths
    amount: Paths
    currency: Paths
    email: Paths
    at: Paths


@dataclass(frozen=True, slots=True)
class Rule:
    """What events of one type mean. command: the rulebook's word; None where it only tells a period or owes a notice.

    when: path = the texts of which one must stand there; before: the same of what the event says it was before.
    values: what the command may be given, and where that stands.
    """

    type: str
    object: str
    means: Means
    command: str | None
    notice: str | None
    reason: str | None
    when: Mapping[str, Paths]
    before: Mapping[str, Paths]
    values: Mapping[str, Paths]


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider: how it signs, how its events look, what they mean."""

    name: str
    title: str
    scheme: Scheme
    id: str
    type: str
    created: str
    object: str
    before: str | None
    objects: Mapping[str, ObjectPaths]
    payment: PaymentPaths
    rules: Mapping[str, tuple[Rule, ...]]


def providers() -> tuple[str, ...]:
    """Their names, as in `POST /webhooks/{provider}`."""
    return tuple(sorted(path.stem for path in _HERE.glob("*.toml")))


@functools.cache
def provider(name: str) -> Provider:
    """The provider of that name, which must be one of `providers()`."""
    return parse(name, (_HERE / f"{name}.toml").read_text(encoding="utf-8"))


def parse(name: str, text: str) -> Provider:
    """Read a mapping. Raises MappingInvalid."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise MappingInvalid(f"mapping {name!r}: {error}") from error
    reader = _Reader(name)
    envelope = reader.take(tables, "envelope", dict)
    objects = {
        key: reader.paths_of(table, ObjectPaths, f"object.{key}")
        for key, table in reader.take(tables, "object", dict).items()
    }
    payment = reader.paths_of(reader.take(tables, "payment", dict), PaymentPaths, "payment")
    rules: dict[str, tuple[Rule, ...]] = {}
    for table in reader.take(tables, "event", list):
        rule = reader.rule(table, objects)
        rules[rule.type] = (*rules.get(rule.type, ()), rule)
    scheme = reader.take(tables, "signature", str)
    if scheme not in SCHEMES:
        raise reader.fault(f"signature {scheme!r} is none of {', '.join(SCHEMES)}")
    words = {key: reader.take(envelope, key, str) for key in ("id", "type", "created", "object")}
    before = reader.take(envelope, "before", str) if "before" in envelope else None
    if before is None and any(rule.before for several in rules.values() for rule in several):
        raise reader.fault("an event has `before`, and [envelope] does not say where that stands")
    found = Provider(
        name, reader.take(tables, "title", str), SCHEMES[scheme], **words, before=before, objects=objects,
        payment=payment, rules=rules,
    )  # fmt: skip
    reader.nothing_left(envelope, "envelope")
    reader.nothing_left(tables, "the top")
    return found


class _Reader:
    """Takes keys out of tables; what is left is unknown."""

    def __init__(self, name: str) -> None:
        self._name = name

    def fault(self, what: str) -> MappingInvalid:
        return MappingInvalid(f"mapping {self._name!r}: {what}")

    def take(self, table: dict[str, Any], key: str, kind: type[T]) -> T:
        value = table.pop(key, None)
        if not isinstance(value, kind):
            raise self.fault(f"{key!r} must be given, as {kind.__name__}; found {value!r}")
        return value

    def nothing_left(self, table: Mapping[str, Any], where: str) -> None:
        if table:
            raise self.fault(f"{min(table)!r} in {where} means nothing")

    def paths(self, value: Any, where: str) -> Paths:
        if not isinstance(value, list) or not value or not all(isinstance(path, str) and path for path in value):
            raise self.fault(f"{where} must be a list of texts; found {value!r}")
        return tuple(value)

    def paths_of(self, table: Any, kind: type[T], where: str) -> T:
        if not isinstance(table, dict):
            raise self.fault(f"{where} must be a table")
        names = kind.__dataclass_fields__  # type: ignore[attr-defined]  # one of the two above
        values = {name: self.paths(table.pop(name, None), f"{where}.{name}") for name in names}
        self.nothing_left(table, where)
        return kind(**values)

    def rule(self, table: dict[str, Any], objects: Mapping[str, ObjectPaths]) -> Rule:
        type_ = self.take(table, "type", str)
        object_, means = self.take(table, "object", str), self.take(table, "means", str)
        if object_ not in objects:
            raise self.fault(f"event {type_!r}: there is no [object.{object_}]")
        if means not in list(Means):
            raise self.fault(f"event {type_!r}: means {means!r} is none of {', '.join(Means)}")
        texts = {key: self.take(table, key, str) if key in table else None for key in ("command", "notice", "reason")}
        listed = {
            key: {
                path: self.paths(value, f"event {type_!r}: {key}.{path}")
                for path, value in self.take({key: table.pop(key, {})}, key, dict).items()
            }
            for key in ("when", "before", "values")
        }
        self.nothing_left(table, f"event {type_!r}")
        if (texts["command"] is None) == (means not in (Means.PERIOD, Means.NOTICE)):
            raise self.fault(f"event {type_!r}: a command belongs to every event but a period's or notice's")
        if (texts["notice"] is None) == (means == Means.NOTICE):
            raise self.fault(f"event {type_!r}: a notice belongs to what means notice, and to nothing else")
        return Rule(
            type_, object_, Means(means), **texts, when=listed["when"], before=listed["before"], values=listed["values"]
        )
