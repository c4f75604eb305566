"""What a command prints: one JSON document, or something for a person.

Called by every command through its Session. On a terminal tables are drawn by rich (loaded only then); piped, the same
rows are aligned columns. Messages (progress, restarts) go to stderr, so stdout is always the answer alone.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

GAP: Final = "  "  # between two columns of a piped table
NOTHING: Final = "-"  # a cell without a value


def say(message: str) -> None:
    """One line to stderr."""
    print(message, file=sys.stderr, flush=True)


def emit(document: object, as_json: bool, human: Callable[[], None]) -> None:
    """Print `document` as JSON, or let `human` print it for a person."""
    if not as_json:
        human()
        return
    import orjson  # only where JSON is asked for: 3 ms of every other command's start

    options = orjson.OPT_INDENT_2 if sys.stdout.isatty() else 0
    print(orjson.dumps(document, option=options).decode(), flush=True)


def line(document: object) -> None:
    """One object on one line of JSON, flushed: for what streams."""
    import orjson

    print(orjson.dumps(document).decode(), flush=True)


def whole_text(file: Path, text: str) -> None:
    """Write a file that appears only when it is whole."""
    temporary = file.with_name(f".{file.name}.new")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(file)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
    """Print rows under their columns' names; `empty` says in words that there are none (on stderr)."""
    cells = [[cell(value) for value in row] for row in rows]
    if not cells:
        say(empty)
    elif sys.stdout.isatty():
        _rich_table(columns, cells)
    else:
        widths = [max(len(row[n]) for row in [list(columns), *cells]) for n in range(len(columns))]
        for row in [list(columns), *cells]:
            print(GAP.join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def _rich_table(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name in columns:
        drawn.add_column(name, overflow="fold")
    for row in cells:
        drawn.add_row(*(Text(text) for text in row))  # Text: what a user named is no markup
    Console().print(drawn)


def fields(pairs: Iterable[tuple[str, object]]) -> None:
    """Print names and values below each other; a pair without a value is left out."""
    shown = [(name, cell(value)) for name, value in pairs if value is not None and value != ""]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        print(f"{name.ljust(width)}{GAP}{value}")


def cell(value: object) -> str:
    """A value as a person reads it: control characters never reach the terminal."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return "".join(c if c.isprintable() else "?" for c in str(value))


def bytes_of(count: float) -> str:
    """A number of bytes in the largest unit that leaves at least one."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
