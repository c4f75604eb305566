"""Reading typed values out of a TOML document, collecting faults instead of stopping at the first.

Used by `rulebook_schema.py`: each function takes the way to a value, returns it in its right type or a stand-in, and
notes what is wrong with the line it stands on. It knows types and words, not what a rulebook means.
"""

import difflib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, TypeVar

from gating.rulebook import Fault, Place
from gating.rulebook_lines import Path
from gating.status import DAY_US, SECOND_US

UNITS_US: Final = {"d": DAY_US, "h": 3600 * SECOND_US, "min": 60 * SECOND_US, "s": SECOND_US}
SPAN_DAYS_MAX: Final = 36_500  # a hundred years: beyond it a span is a slip of the pen, and dates end in the year 9999

_SPAN: Final = re.compile(r"([0-9]{1,9})(d|h|min|s)")
_WORKDAYS: Final = re.compile(r"([1-9][0-9]?)bd")
_TYPE_NAMES: Final = {str: "text", bool: "true or false", int: "a whole number", dict: "a table", list: "a list"}

Word = TypeVar("Word", bound=Enum)


@dataclass(slots=True)
class Reader:
    """One document: its file's name, its data, the lines of its keys, and the faults found so far (shared by all)."""

    file: str
    data: Mapping[str, Any]
    lines: Mapping[Path, int]
    faults: list[Fault]
    shared: bool = False

    def line(self, path: Path) -> int:
        """The line of a path, or of the nearest thing around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 0)

    def place(self, path: Path) -> Place:
        """Where a rule stands."""
        return Place(self.file, self.line(path))

    def fault(self, path: Path, message: str) -> None:
        """Note a fault at a path."""
        self.faults.append(Fault(self.file, self.line(path), message))

    def keys(self, path: Path, table: Mapping[str, Any], known: Collection[str], required: Collection[str]) -> None:
        """Note every key that is unknown and every one that is missing."""
        for key in table:
            if key not in known:
                self.fault((*path, key), f"{dotted(path)} has no key {key!r}{_near(key, known)}")
        for key in required:
            if key not in table:
                self.fault(path, f"{dotted(path)} lacks {key!r}")

    def typed(self, path: Path, value: Any, kind: type) -> Any:
        """The value where it is of the kind, else None and a fault. True is no whole number."""
        if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
            return value
        wanted = _TYPE_NAMES[kind]
        self.fault(path, f"{dotted(path)} must be {wanted}, is {_type_name(value)}")
        return None

    def table(self, path: Path, value: Any) -> dict[str, Any]:
        """The value as a table, an empty one where it is none."""
        return self.typed(path, value, dict) or {}

    def texts(self, path: Path, value: Any) -> list[tuple[Path, str]]:
        """The texts of a list, each with its path; what is no text is noted and left out."""
        found = self.typed(path, value, list) or []
        texts = [((*path, place), self.typed((*path, place), text, str)) for place, text in enumerate(found)]
        return [(where, text) for where, text in texts if text is not None]

    def word(self, path: Path, value: Any, words: type[Word], what: str) -> Word | None:
        """One of an enum's names, as written there."""
        text = self.typed(path, value, str)
        if text is None:
            return None
        if text in words.__members__:
            return words.__members__[text]
        self.fault(path, f"unknown {what} {text!r}{_near(text, words.__members__)}")
        return None

    def one_of(self, path: Path, value: Any, known: Collection[str], what: str) -> str | None:
        """One of some texts."""
        text: str | None = self.typed(path, value, str)
        if text is not None and text not in known:
            self.fault(path, f"unknown {what} {text!r}{_near(text, known)}")
            return None
        return text

    def span_us(self, path: Path, value: Any) -> int | None:
        """A span such as `30d`, in microseconds."""
        text = self.typed(path, value, str)
        if text is None:
            return None
        match = _SPAN.fullmatch(text)
        if match is None:
            self.fault(path, f"bad span {text!r}: a whole number and one of d, h, min, s, such as '30d'")
            return None
        span_us = int(match[1]) * UNITS_US[match[2]]
        if span_us > SPAN_DAYS_MAX * DAY_US:
            self.fault(path, f"bad span {text!r}: {SPAN_DAYS_MAX}d is the longest")
            return None
        return span_us

    def workdays(self, path: Path, value: Any) -> int | None:
        """A number of working days such as `1bd`."""
        text = self.typed(path, value, str)
        if text is None:
            return None
        match = _WORKDAYS.fullmatch(text)
        if match is None:
            self.fault(path, f"bad number of working days {text!r}: one to 99 of them, such as '1bd'")
            return None
        return int(match[1])


def dotted(path: Path) -> str:
    """A path as a person would write it."""
    text = ""
    for key in path:
        text += f"[{key + 1}]" if isinstance(key, int) else f".{key}" if text else key
    return text or "the rulebook"


def _near(text: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(text, known, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known are {', '.join(sorted(known))}" if known else ""


def _type_name(value: Any) -> str:
    for kind, name in ((bool, "true or false"), (str, "text"), (int, "a number"), (list, "a list"), (dict, "a table")):
        if isinstance(value, kind):
            return name
    return f"a {type(value).__name__}"
