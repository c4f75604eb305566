"""Where each key of a TOML text stands, so that a fault can name its line: tomllib keeps no positions.

Expects text that tomllib has already accepted, and so checks nothing: it follows quotes, brackets and braces, and notes
the line on which each key and each element of a list begins.
"""

import re
from typing import Final

Path = tuple[str | int, ...]
"""The way to a value: keys of tables, places in lists."""

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACES: Final = re.compile(r"[ \t]*")
_SCALAR: Final = re.compile(r"[^,\]}\n#]*")
_STRINGS: Final = (  # the long ones first; a basic string may escape its quote
    re.compile(r'"""(?:[^\\]|\\.)*?"""(?!")', re.DOTALL),
    re.compile(r"'''.*?'''(?!')", re.DOTALL),
    re.compile(r'"(?:[^"\\]|\\.)*"'),
    re.compile(r"'[^']*'"),
)


def lines_of(text: str) -> dict[Path, int]:
    """Map each path to its line, 1 for the first. Tables map to their header, tables of a list by their place too."""
    return _Scanner(text).scan()


class _Scanner:
    """One pass over a text. `_at` is the place of the next character."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._lines: dict[Path, int] = {}
        self._lists: dict[Path, int] = {}  # how many [[headers]] of a path there were

    def scan(self) -> dict[Path, int]:
        table: Path = ()
        self._skip(_BLANK)
        while self._at < len(self._text):
            if self._text.startswith("[", self._at):
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BLANK)
        return self._lines

    def _skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        if match is None:
            return ""
        self._at = match.end()
        return match.group()

    def _note(self, path: Path) -> None:
        self._lines.setdefault(path, self._text.count("\n", 0, self._at) + 1)

    def _header(self) -> Path:
        brackets = 2 if self._text.startswith("[[", self._at) else 1
        start = self._at
        self._at += brackets
        path = self._through_lists(self._key())
        end, self._at = self._at + brackets, start
        self._note(path)
        if brackets == 2:
            place = self._lists.get(path, 0)
            self._lists[path] = place + 1
            path = (*path, place)
            self._note(path)
        self._at = end
        return path

    def _through_lists(self, keys: Path) -> Path:
        """A header below a [[header]] means that list's newest table."""
        path: Path = ()
        for place, key in enumerate(keys):
            path = (*path, key)
            if path in self._lists and place < len(keys) - 1:
                path = (*path, self._lists[path] - 1)
        return path

    def _key(self) -> Path:
        keys: list[str] = []
        while True:
            self._skip(_SPACES)
            keys.append(self._skip(_BARE_KEY) or self._string()[1:-1])
            self._skip(_SPACES)
            if not self._text.startswith(".", self._at):
                return tuple(keys)
            self._at += 1

    def _string(self) -> str:
        for pattern in _STRINGS:
            if string := self._skip(pattern):
                return string
        raise ValueError(f"no key or string at {self._text[self._at : self._at + 20]!r}")

    def _pair(self, table: Path) -> None:
        start = self._at
        keys = self._key()
        end, self._at = self._at, start
        for place in range(len(keys)):
            self._note((*table, *keys[: place + 1]))
        self._at = end + 1  # the equals sign
        self._skip(_SPACES)
        self._value((*table, *keys))

    def _value(self, path: Path) -> None:
        first = self._text[self._at]
        if first == "[":
            self._elements(path, "]")
        elif first == "{":
            self._elements(path, "}")
        elif first in "\"'":
            self._string()
        else:
            self._skip(_SCALAR)

    def _elements(self, path: Path, close: str) -> None:
        self._at += 1
        place = 0
        self._skip(_BLANK)
        while not self._text.startswith(close, self._at):
            if close == "]":
                self._note((*path, place))
                self._value((*path, place))
                place += 1
            else:
                self._pair(path)
            self._skip(_BLANK)
            if self._text.startswith(",", self._at):
                self._at += 1
                self._skip(_BLANK)
        self._at += 1
