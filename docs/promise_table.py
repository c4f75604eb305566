"""Writes the tables promise -> rule -> test into docs/rulebooks.md: `python docs/promise_table.py`.

A rulebook numbers its promises under `[promise]`, each status and row says which of them it keeps, and a test is found
by its name (`test_NAME_3_...`, or `test_all_3_...[NAME]` for what holds in every product). Tests prove that the page is
current, that no promise is without a test, and that what holds in every product is tried on each.
"""

import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from gating.policy import load_rulebook, rulebooks
from gating.rulebook import Policy

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "rulebooks.md"
BEGIN, END = "<!-- promises: begin -->\n", "<!-- promises: end -->\n"
SHARED = "all "
_TEST = re.compile(r"^(?:async )?def (test_\w+)\(", re.MULTILINE)


@cache
def tests() -> list[str]:
    """The names of all tests, in the order of their files; those of the lifecycle first."""
    files = sorted((ROOT / "tests").rglob("test_*.py"), key=lambda file: ("gating" not in file.parts, file))
    return [name for file in files for name in _TEST.findall(file.read_text())]


def tests_of(prefix: str, number: str) -> list[str]:
    """The tests named after one promise."""
    start = f"test_{prefix}_{number}_"
    return [name for name in tests() if name.startswith(start)]


def tables() -> str:
    """One table a rulebook that makes promises of its own, and one for what holds in all."""
    parts = []
    shared: dict[str, str] = {}
    for name in rulebooks():
        policy = load_rulebook(name)
        own = {number: text for number, text in policy.promises.items() if not number.startswith(SHARED)}
        shared |= {number: text for number, text in policy.promises.items() if number.startswith(SHARED)}
        if own:
            rows = [_row(number, text, keepers(policy, number), tests_of(name, number)) for number, text in own.items()]
            parts.append(_table(f"### `{name}`", rows))
    policy = load_rulebook(rulebooks()[-1])
    rows = [
        _row(number, text, keepers(policy, number), tests_of("all", number.removeprefix(SHARED)))
        for number, text in shared.items()
    ]
    parts.append(_table("### Every product", rows))
    return "\n".join(parts)


def keepers(policy: Policy, number: str) -> list[str]:
    """The rules that say they keep the promise."""
    statuses = [f"status {status}" for status, rule in policy.statuses.items() if number in rule.promises]
    commands = [name for name, rows in policy.commands.items() if any(number in row.promises for row in rows)]
    return [*statuses, *commands]


def _table(title: str, rows: list[str]) -> str:
    return "\n".join([title, "", "| | promise | rule | test |", "|---|---|---|---|", *rows, ""])


def _row(number: str, text: str, rules: list[str], names: list[str]) -> str:
    rule = ", ".join(f"`{rule}`" for rule in rules) or "the machine"
    return f"| {number} | {text} | {rule} | {'<br>'.join(f'`{name}`' for name in names) or 'none'} |"


def page(text: str) -> str:
    """The page with its tables made anew."""
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + "\n" + tables() + "\n" + END + rest.partition(END)[2]


def unkept() -> Iterator[str]:
    """Promises that no test is named after, and those of a product's own that no rule names."""
    for name in rulebooks():
        policy = load_rulebook(name)
        for number in policy.promises:
            if number.startswith(SHARED):
                kept = tests_of("all", number.removeprefix(SHARED))
            else:
                kept = keepers(policy, number) and tests_of(name, number)
            if not kept:
                yield f"{name} {number}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
    sys.exit(1 if list(unkept()) else 0)
