"""`pixelgate history`: head, verify, export: the ledger's hash chains, for whoever audits it. Reads, never writes."""

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deploy.errors import Misused
from deploy.output import fields
from deploy.session import Session, command, group

if TYPE_CHECKING:
    from gating.ledger import Fault, Ledger

chain = group("The history of all accounts, and what was refused: hash chains that anybody can check.")

DIGEST_BYTES = 32
FAILED_EXIT_CODE = 1
SHOWN_EVERY = 1_000  # rows between two drawings of the bar


def register(app: typer.Typer) -> None:
    """Add the group to the command line."""
    app.add_typer(chain, name="history")


@command(chain, "head", "pixelgate history head")
def head(session: Session) -> None:
    """Print the newest version and its digest, and the newest refusal's: keep them elsewhere, for `history verify`."""
    with _ledger(session) as ledger:
        version, digest = ledger.chain()
        sequence, refused = ledger.refusals.chain()
    answer = {
        "version": version, "digest": digest.hex(), "refusals": {"sequence": sequence, "digest": refused.hex()},
    }  # fmt: skip
    lines = [("version", version), ("digest", digest.hex()), ("refusals", sequence), ("their digest", refused.hex())]
    session.emit(answer, lambda: fields(lines))


@command(chain, "verify", "pixelgate history verify")
def verify(
    session: Session,
    kept: Annotated[
        str | None, typer.Option("--head", metavar="DIGEST", help="A digest kept earlier; the chain must contain it.")
    ] = None,
    kept_refusals: Annotated[
        str | None, typer.Option("--refusals-head", metavar="DIGEST", help="The same, of the refusals.")
    ] = None,
) -> None:
    """Find every row of history and refusals that was altered, removed, added or moved, and every account that stands
    elsewhere than its history says; exit 1 if there is any."""
    digest, refused = _digest(kept, "--head"), _digest(kept_refusals, "--refusals-head")
    with _ledger(session) as ledger, _progress() as progress:
        version, sequence = ledger.chain()[0], ledger.refusals.chain()[0]
        faults = ledger.verify_history(digest, progress)
        faults += ledger.refusals.verify(refused, progress)
        faults += ledger.verify_projections()
    told = [_fault(fault) for fault in faults]
    answer = {"ok": not faults, "version": version, "refusals": sequence, "faults": told}

    def human() -> None:
        for fault in told:
            print(f"FAULT  {fault['message']}" + (f" (account {fault['account']})" if fault["account"] else ""))
        print("not ok" if faults else f"ok, up to version {version:,} and refusal {sequence:,}")

    session.emit(answer, human)
    if faults:
        raise typer.Exit(FAILED_EXIT_CODE)


@command(chain, "export", "pixelgate history export --to history.ndjson")
def export(
    session: Session,
    file: Annotated[Path, typer.Option("--to", metavar="FILE", help="Appears only when it is whole.")],
    since: Annotated[int, typer.Option(metavar="VERSION", min=0, help="Only the rows after this one.")] = 0,
    refusals: Annotated[
        bool, typer.Option("--refusals", help="The refusals instead; --since is a sequence then.")
    ] = False,
) -> None:
    """Write the chain to a file, a row an object, digests in hex; docs/verify_history.py checks it."""
    if file.is_dir():
        raise Misused(f"--to {str(file)!r} is a directory; name a file")
    with _ledger(session) as ledger:
        source = ledger.refusals if refusals else ledger
        rows = _write(source.chained_rows(since, source.chain()[0]), file)
    session.emit({"file": str(file), "rows": rows}, lambda: print(f"{rows:,} rows in {file}"))


def _fault(fault: "Fault") -> dict[str, object]:
    """A fault as a document. `version`: of a refusal its sequence; null where no single row is meant."""
    return {
        "in": fault.of, "version": fault.version or None, "account": fault.account, "what": fault.what,
        "message": fault.message,
    }  # fmt: skip


def _write(chained: Iterator[dict[str, Any]], file: Path) -> int:
    """Into a file beside it first, durable before it gets the name."""
    import os

    import orjson

    rows = 0
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}.", delete=False) as temporary:
        half = Path(temporary.name)
        try:
            for row in chained:
                temporary.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
                rows += 1
            temporary.flush()
            os.fsync(temporary.fileno())
            half.replace(file)
        except BaseException:
            half.unlink(missing_ok=True)
            raise
    return rows


def _digest(text: str | None, option: str) -> bytes | None:
    if text is None:
        return None
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        digest = b""
    if len(digest) != DIGEST_BYTES:
        raise Misused(f"{option} does not read: give the 64 hexadecimal digits that `pixelgate history head` printed")
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
