"""Named queries: a .sql file beside the code, cut into statements by `-- name: x` lines."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

NAME: Final = re.compile(r"^-- name: ([a-z_]+)$", re.MULTILINE)
PARAMETER: Final = re.compile(r"\$([a-z_]+)|\{([a-z_]+):[A-Z]")
"""`$name` is how DuckDB writes a value's place, `{name:Type}` how ClickHouse does."""


@dataclass(frozen=True, slots=True)
class Query:
    """One statement and the names of what it asks for."""

    name: str
    text: str
    parameters: frozenset[str]

    def pick(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return of `values` what the statement asks for, since engines refuse more; KeyError for less."""
        return {name: values[name] for name in self.parameters}


def load(package: str, file: str) -> Mapping[str, Query]:
    """Read `file` of `package`; every name stands for one statement. Raises ValueError for a name used twice."""
    text = files(package).joinpath(file).read_text(encoding="utf-8")
    pieces = NAME.split(text)[1:]
    queries: dict[str, Query] = {}
    for name, statement in zip(pieces[::2], pieces[1::2], strict=True):
        if name in queries:
            raise ValueError(f"{file} has the name {name!r} twice")
        asked = frozenset(one or other for one, other in PARAMETER.findall(statement))
        queries[name] = Query(name, statement.strip(), asked)
    return queries
