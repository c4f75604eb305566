"""What every command has in common: its global options, its example in the help, and the one handler of errors.

Called by the modules of commands/ to register their functions. A function takes a `Session` first and its own options
after it; `command` adds `--data` and `--json`, which are accepted before and after the command's name alike.
"""

import functools
import inspect
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from deploy.errors import NoDataDirectory, RoleGaveUp
from deploy.output import emit, say
from gating.datadir import DataDirectory
from gating.errors import PixelgateError, Unreachable

if TYPE_CHECKING:
    from gating.gateway import Gateway

DATA_DEFAULT: Final = Path("data")

DataOption = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="Data directory (PIXELGATE_DATA). Default: ./data")
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else.")]


@dataclass(frozen=True, slots=True)
class Session:
    """The global options of one call. options: those that the command line itself gave, for `settings`."""

    root: Path
    json: bool
    options: Mapping[str, Path] = field(default_factory=dict)

    def directory(self) -> DataDirectory:
        """The data directory, made where it is missing."""
        return DataDirectory.open(self.root)

    def existing(self) -> DataDirectory:
        """The data directory; raises NoDataDirectory where there is none, since a question should leave no trace."""
        if not (self.root / "VERSION").exists():
            raise NoDataDirectory(
                f"no data directory at {self.root.absolute()}: name it by --data or PIXELGATE_DATA, "
                "or make one with `pixelgate run`"
            )
        return DataDirectory.open(self.root)

    def gateway(self, new: bool = False) -> "Gateway":
        """The way to the ledger: the gating process where one runs, else this one; `new`: make what is missing."""
        directory = self.directory() if new else self.existing()
        from gating.gateway import Gateway  # only where asked for: it may have to load SQLAlchemy

        return Gateway.open(directory)

    def emit(self, document: object, human: Callable[[], None]) -> None:
        """Print the answer, for a person or as JSON."""
        emit(document, self.json, human)


def open_session(data: Path | None, json: bool) -> Session:
    """The session that options and environment describe; an option wins."""
    given = {} if data is None else {"data": data}
    return Session(data or Path(os.environ.get("PIXELGATE_DATA") or DATA_DEFAULT), json, given)


def group(help_text: str) -> typer.Typer:
    """A group of commands that prints its help when it is called alone."""
    return typer.Typer(help=help_text, no_args_is_help=True, rich_markup_mode=None)


def command(owner: typer.Typer, name: str, example: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as `name` of `owner`; its docstring is the help, `example` ends it."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def call(ctx: typer.Context, data: Path | None, json: bool, **options: Any) -> None:
            outer: Session = ctx.find_root().obj
            session = open_session(data or outer.options.get("data"), json or outer.json)
            with one_line_errors():
                function(session, **options)

        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        common = {"ctx": typer.Context, "data": DataOption, "json": JsonOption}
        defaults = {"data": None, "json": False}
        keyword = inspect.Parameter.KEYWORD_ONLY
        added = [
            inspect.Parameter(n, keyword, annotation=a, default=defaults.get(n, inspect.Parameter.empty))
            for n, a in common.items()
        ]
        parameters = [added[0], *(p.replace(kind=keyword) for p in own), *added[1:]]
        call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # typer reads it
        call.__annotations__ = {p.name: p.annotation for p in parameters}
        owner.command(name, epilog=f"Example: {example}")(call)
        return function

    return register


class one_line_errors:  # noqa: N801  # reads as a verb in `with`
    """The one handler: an error that is an answer becomes one line on stderr and its class's exit code."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, BrokenPipeError):
            _leave_a_closed_pipe()
        if isinstance(error, PixelgateError):
            if not isinstance(error, RoleGaveUp):  # its process has said it, on the same stderr
                say(f"pixelgate: {' '.join(str(error).split())}")
            raise typer.Exit(error.exit_code) from None
        if isinstance(error, OSError):
            where = f"{error.filename}: " if error.filename else ""
            say(f"pixelgate: {where}{error.strerror or error}")
            raise typer.Exit(Unreachable.exit_code) from None


def _leave_a_closed_pipe() -> None:
    """Whoever read stdout (`head`) has had enough: end quietly, as other tools do."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still buffered goes nowhere
    raise typer.Exit(0) from None
