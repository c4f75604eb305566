"""Settings: read them with one-line errors, and tell each one's value, source and meaning.

Called by local.py and commands/roles.py to read, by `pixelgate settings` to tell. Each package declares its own in a
`config.py`; this room only lists them. A command-line option stands above the environment.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit, urlunsplit

from pydantic import ValidationError
from pydantic_settings import BaseSettings

from collector.config import CollectorSettings, PublisherSettings
from consumers.config import ConsumerSettings
from deploy.config import DeploySettings
from deploy.errors import Misused
from gating.config import GatingSettings

S = TypeVar("S", bound=BaseSettings)

ENV_PREFIX: Final = "PIXELGATE_"
PACKAGES: Final[tuple[tuple[str, type[BaseSettings]], ...]] = (
    ("deploy", DeploySettings),
    ("collector", CollectorSettings),
    ("publisher", PublisherSettings),
    ("gating", GatingSettings),
    ("consumers", ConsumerSettings),
)
SECRET_WORDS: Final = ("secret", "token", "password", "passwd", "salt")
MASK: Final = "********"
NOT_FOR_PEOPLE: Final = frozenset({"worker"})  # the supervisor's word to a worker


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as it stands. source: `default`, `environment` or `option`."""

    name: str
    value: str | None
    source: str
    meaning: str
    used_by: str


def load(kind: type[S], options: Mapping[str, Any] | None = None) -> S:
    """Read a package's settings; options without a value count as not given. Raises Misused, naming the first fault."""
    given = {name: value for name, value in (options or {}).items() if value is not None}
    try:
        return kind(**given)
    except ValidationError as error:
        fault = error.errors()[0]
        name = str(fault["loc"][0]) if fault["loc"] else "?"
        told = f"--{name.replace('_', '-')}" if name in given else environment_name(kind, name)
        shown = MASK if is_secret(name) else repr(fault["input"])[:100]
        raise Misused(f"{told} is {shown}: {fault['msg'][:1].lower()}{fault['msg'][1:]}") from error


def environment_name(kind: type[BaseSettings], name: str) -> str:
    """The environment variable that a field is read from."""
    field = kind.model_fields.get(name)
    alias = field.validation_alias if field is not None else None
    return alias if isinstance(alias, str) else f"{ENV_PREFIX}{name.upper()}"


def environment_of(options: Mapping[str, Any]) -> dict[str, str]:
    """Options as the environment of role processes; those without a value stay as they are there."""
    return {f"{ENV_PREFIX}{name.upper()}": str(value) for name, value in options.items() if value is not None}


def list_settings(options: Mapping[str, Any]) -> list[Setting]:
    """Every setting once, those of several packages under all of them; `options`: what the command line gave."""
    found: dict[str, Setting] = {}
    for package, kind in PACKAGES:
        values = load(kind, {name: value for name, value in options.items() if name in kind.model_fields})
        for name, field in kind.model_fields.items():
            if name in NOT_FOR_PEOPLE:
                continue
            variable = environment_name(kind, name)
            source = source_of(variable, name, options)
            used_by = f"{found[variable].used_by}, {package}" if variable in found else package
            value = masked(name, getattr(values, name))
            found[variable] = Setting(variable, value, source, field.description or "", used_by)
    return list(found.values())


def source_of(variable: str, name: str, options: Mapping[str, Any]) -> str:
    """Where a setting's value comes from."""
    if options.get(name) is not None:
        return "option"
    # pydantic-settings reads names whatever their case.
    return "environment" if variable.upper() in {key.upper() for key in os.environ} else "default"


def is_secret(name: str) -> bool:
    """Tell whether a setting's value is nobody's to see."""
    return any(word in name.lower() for word in SECRET_WORDS)


def masked(name: str, value: object) -> str | None:
    """A setting's value as it may be shown: secrets and passwords inside addresses masked."""
    if value is None:
        return None
    if is_secret(name):
        return MASK
    text = str(value)
    parts = urlsplit(text) if "://" in text else None
    if parts is None or parts.password is None:
        return text
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username}:{MASK}@{host}"))
