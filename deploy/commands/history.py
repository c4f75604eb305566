"""`pixelgate history`: head, verify, export: the ledger's hash chain, for whoever audits it. Reads, never writes."""

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.errors import Misused
from deploy.output import fields
from deploy.session import Session, command, group

if TYPE_CHECKING:
    from gating.ledger import Ledger

chain = group("The history of all accounts: a hash chain that anybody can check.")

DIGEST_BYTES = 32
FAILED_EXIT_CODE = 1
SHOWN_EVERY = 1_000  # rows between two drawings of the bar


def register(app: typer.Typer) -> None:
    """Add the group to the command line."""
    app.add_typer(chain, name="history")


@command(chain, "head", "pixelgate history head")
def head(session: Session) -> None:
    """Print the newest version and its digest: keep them elsewhere, for `history verify --head`."""
    with _ledger(session) as ledger:
        version, digest = ledger.chain()
    answer = {"version": version, "digest": digest.hex()}
    session.emit(answer, lambda: fields(answer.items()))


@command(chain, "verify", "pixelgate history verify")
def verify(
    session: Session,
    kept: Annotated[
        str | None, typer.Option("--head", metavar="DIGEST", help="A digest kept earlier; the chain must contain it.")
    ] = None,
) -> None:
    """Find every history row that was altered, removed, added or moved; exit 1 if there is any."""
    digest = None if kept is None else _digest(kept)
    with _ledger(session) as ledger, _progress() as progress:
        version, _ = ledger.chain()
        faults = [fault.message for fault in ledger.verify_history(digest, progress)]
    answer = {"ok": not faults, "version": version, "faults": faults}

    def human() -> None:
        for fault in faults:
            print(f"FAULT  {fault}")
        print("not ok" if faults else f"ok, up to version {version:,}")

    session.emit(answer, human)
    if faults:
        raise typer.Exit(FAILED_EXIT_CODE)


@command(chain, "export", "pixelgate history export --to history.ndjson")
def export(
    session: Session,
    file: Annotated[Path, typer.Option("--to", metavar="FILE", help="Appears only when it is whole.")],
    since: Annotated[int, typer.Option(metavar="VERSION", min=0, help="Only the changes after this one.")] = 0,
) -> None:
    """Write the chain to a file, a row an object, digests in hex; docs/verify_history.py checks it."""
    if file.is_dir():
        raise Misused(f"--to {str(file)!r} is a directory; name a file")
    with _ledger(session) as ledger:
        rows = _write(ledger, file, since)
    session.emit({"file": str(file), "rows": rows}, lambda: print(f"{rows:,} rows in {file}"))


def _write(ledger: "Ledger", file: Path, since: int) -> int:
    """Into a file beside it first, durable before it gets the name."""
    import os

    import orjson

    rows = 0
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}.", delete=False) as temporary:
        half = Path(temporary.name)
        try:
            for row in ledger.chained_rows(since, ledger.chain()[0]):
                temporary.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
                rows += 1
            temporary.flush()
            os.fsync(temporary.fileno())
            half.replace(file)
        except BaseException:
            half.unlink(missing_ok=True)
            raise
    return rows


def _digest(text: str) -> bytes:
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        digest = b""
    if len(digest) != DIGEST_BYTES:
        raise Misused("--head does not read: give the 64 hexadecimal digits that `pixelgate history head` printed")
    return digest


@contextmanager
def _ledger(session: Session) -> "Iterator[Ledger]":
    directory = session.existing()
    from deploy.settings import load
    from gating.config import LedgerSettings
    from gating.ledger import Ledger, ledger_url

    with Ledger.open_reading(ledger_url(directory, load(LedgerSettings).database_url)) as ledger:
        yield ledger


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr where that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _done, _of: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("verify", total=None)

        def show(done: int, of: int) -> None:
            if done % SHOWN_EVERY == 0:
                bar.update(task, completed=done, total=of)

        yield show
