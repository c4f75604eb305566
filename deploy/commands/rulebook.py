"""`pixelgate rulebook`: list, show, check. Rulebooks are files of the package; no data directory is needed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deploy.output import say, table, whole_text
from deploy.session import Session, command, group

if TYPE_CHECKING:
    from gating.policy import Policy

rulebooks = group("Rulebooks: what each status means and which command leads where.")

FAULTY_EXIT_CODE = 1
STDOUT = Path("-")

StatusColumns = ("status", "verdict", "access", "deadline", "place")
CommandColumns = ("command", "from", "to", "by", "needs", "plan", "place")


def register(app: typer.Typer) -> None:
    """Add the group to the command line."""
    app.add_typer(rulebooks, name="rulebook")


@command(rulebooks, "list", "pixelgate rulebook list")
def list_(session: Session) -> None:
    """List the rulebooks that an account can live under."""
    from gating import policy

    found: list[dict[str, Any]] = []
    for name in policy.rulebooks():
        book = policy.load_rulebook(name)
        sizes = {"statuses": len(book.statuses), "commands": len(book.commands)}
        found.append({"rulebook": name, "title": book.title, "start": book.start.value, **sizes, "digest": book.digest})
    columns = ("rulebook", "title", "start", "statuses", "commands")
    session.emit(found, lambda: table(columns, [[row[c] for c in columns] for row in found], "no rulebooks"))


@command(rulebooks, "show", "pixelgate rulebook show default")
def show(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A rulebook, or a file in TOML.")],
    diagram: Annotated[bool, typer.Option("--diagram", help="A Mermaid state diagram instead of tables.")] = False,
    svg: Annotated[
        Path | None, typer.Option("--svg", metavar="FILE", help="Draw it into FILE as SVG; - is stdout.")
    ] = None,
) -> None:
    """Show a rulebook: what each status means, and its commands."""
    from gating import policy, rulebook_show

    book = policy.load_rulebook(name)
    answer = rulebook_show.show(book)
    if svg is not None:
        _draw(session, book, svg)
        return

    def human() -> None:
        if diagram:
            print(rulebook_show.mermaid(book), end="")
            return
        print(f"{answer['title']} ({answer['rulebook']}); an account starts {answer['start']}\n")
        table(StatusColumns, [_row(status, StatusColumns) for status in answer["statuses"]], "no statuses")
        print()
        table(CommandColumns, [_row(row, CommandColumns) for row in answer["commands"]], "no commands")
        for verb, codes in answer["reasons"].items():
            print(f"\nreasons for {verb}: {', '.join(codes)}", end="")
        print(end="\n" if answer["reasons"] else "")

    session.emit({**answer, "diagram": rulebook_show.mermaid(book)} if diagram else answer, human)


def _draw(session: Session, book: "Policy", file: Path) -> None:
    """The picture, into a file that appears only when it is whole, or on stdout."""
    from gating.errors import Unreachable
    from gating.rulebook_svg import svg

    text = svg(book)
    if file == STDOUT:
        session.emit({"rulebook": book.name, "svg": text}, lambda: print(text, end=""))
        return
    try:
        whole_text(file, text)
    except OSError as error:
        raise Unreachable(f"the picture cannot be written to {str(file)!r}: {error.strerror}") from error
    session.emit({"rulebook": book.name, "file": str(file)}, lambda: say(f"{book.name}: drawn into {file}"))


@command(rulebooks, "check", "pixelgate rulebook check my-product.toml")
def check(session: Session, file: Annotated[Path, typer.Argument(metavar="FILE", help="A rulebook in TOML.")]) -> None:
    """Check a rulebook file: each fault with its line and reason, on stderr; exit 1 if there is one."""
    from gating import policy

    faults = policy.check(file)
    lines = [{"file": fault.file, "line": fault.line, "message": fault.message} for fault in faults]

    def human() -> None:
        for fault in faults:
            say(str(fault))
        if not faults:
            print(f"{file}: no fault")

    session.emit({"file": str(file), "ok": not faults, "faults": lines}, human)
    if faults:
        raise typer.Exit(FAULTY_EXIT_CODE)


def _row(line: dict[str, Any], columns: tuple[str, ...]) -> list[object]:
    """A line of a table; lists as one cell, what an inheriting status does not say itself in words."""
    beneath = {"verdict", "access"} if line.get("inherits") else set()
    values = ["as beneath" if column in beneath else line[column] for column in columns]
    return [", ".join(map(str, value)) if isinstance(value, list) else value for value in values]
