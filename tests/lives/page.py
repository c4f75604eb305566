"""docs/lives.md: every life as a table, made from what the test plays and holds to be so."""

from pathlib import Path

from tests.lives.life import FOLDER, Life, Stage
from tests.processes import ROOT

PAGE = ROOT / "docs" / "lives.md"
HEAD = """# A year in the life of an account

One account a rulebook, all of them beside each other, played through the command line against a gating service, a
collector and a consumer that run, under a wall clock that is moved from day to day and confirmed (the monotonic ones
are left alone). At each stage hits are fired once its commands are enforced; then the account must stand as the table
says, and its reports must count what it says: what the account itself sees, and in brackets what is kept hidden, which
an operator's report shows. `tests/lives/*.toml` are the lives, `tests/lives/test_lives.py` plays them, `python -m
tests.lives` writes this page.
"""
COLUMNS = ("day", "promise", "what happens", "`account do`", "hits", "status", "verdict", "access", "sees (hidden)")


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(_table(Life.read(path)) for path in lives())])


def lives() -> list[Path]:
    """The files of the lives, sorted."""
    return sorted(FOLDER.glob("*.toml"))


def _table(life: Life) -> str:
    rows = [COLUMNS, ("---",) * len(COLUMNS), *map(_row, life.stages)]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([f"## `{life.rulebook}`", "", *lines, ""])


def _row(stage: Stage) -> tuple[str, ...]:
    commands = [f"`{words}`" for words in stage.do] + [f"refused: `{words}`" for words in stage.refused]
    seen = "refused" if stage.access == "NONE" else str(stage.visible)
    standing = (stage.status, stage.verdict, stage.access)
    return (
        f"{stage.day:g}", stage.promise, stage.says, "<br>".join(commands), str(stage.hits), *standing,
        f"{seen} ({stage.hidden})",
    )  # fmt: skip
