"""`pixelgate report`, `export`, `tail`: what is kept, asked from the consumer where one runs, else from its files."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from deploy.commands.account import AccountArgument
from deploy.errors import Misused
from deploy.output import cell, fields, line, table
from deploy.session import Session, command
from gating.status import Verdict

if TYPE_CHECKING:
    from consumers.client import ConsumerClient, Progress
    from consumers.config import ConsumerSettings

# Said again here, since what declares them costs 50 ms of every command's start; a test holds both to each other.
Eyes = Literal["account", "operator"]
Format = Literal["ndjson", "csv", "parquet"]

AudienceOption = Annotated[Eyes, typer.Option("--as", help="Whose eyes: what the account may see, or everything.")]
FromOption = Annotated[
    str | None,
    typer.Option("--from", metavar="T", help="Received at this time or later: a day, or 2026-03-01T12:00:00Z."),
]
ToOption = Annotated[str | None, typer.Option("--to", metavar="T", help="Received before this time.")]
SettledOption = Annotated[
    float | None,
    typer.Option(
        metavar="S", min=0.0, help="Wait up to S seconds until every hit answered before now is in it, else exit 4."
    ),
]

GROUPS = (("name", "by_name", "name"), ("page", "by_page", "page"), ("referrer", "by_referrer", "referrer"))
SHOWN_ROWS_MAX = 20
PATIENCE_SECONDS = 0.3  # a shorter export draws no progress bar


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    command(app, "report", "pixelgate report shop --settled 10")(report)
    command(app, "export", "pixelgate export shop --to shop.csv --format csv")(export)
    command(app, "tail", "pixelgate tail shop --verdict HIDE")(tail)


def report(
    session: Session,
    account: AccountArgument,
    audience: AudienceOption = "operator",
    from_: FromOption = None,
    to: ToOption = None,
    settled: SettledOption = None,
) -> None:
    """Count an account's events by day, name, page and referrer."""
    from consumers.warehouse.protocol import Audience

    answer = _client(session).report(account, audience=Audience(audience), from_=from_, to=to, settled=settled)
    session.emit(answer, lambda: print_report(answer))


def print_report(answer: dict[str, Any]) -> None:
    """The figures, then a table a grouping, each cut to its largest rows."""
    events = answer["events"]
    sums = [(name, events[name]) for name in ("visible", "hidden", "unverified") if name in events]
    fields([("account", answer["account"]), ("access", answer["access"]), *sums])
    usage = [("monthly tracked users", answer["mtu"]), ("included in the plan", answer.get("mtu_included"))]
    fields([("visitors", answer["visitors"]), *usage, ("overage", answer.get("mtu_overage"))])
    if answer["by_day"]:
        print()
        table(("day", "events"), [[row["day"], row["events"]] for row in answer["by_day"]], "")
    for title, group, name in GROUPS:
        rows = answer.get(group) or []
        if rows:
            print()
            table((title, "events"), [[row[name], row["events"]] for row in rows[:SHOWN_ROWS_MAX]], "")
            if len(rows) > SHOWN_ROWS_MAX:
                print(f"... and {len(rows) - SHOWN_ROWS_MAX} more; --json has them")


def export(
    session: Session,
    account: AccountArgument,
    file: Annotated[Path, typer.Option("--to", metavar="FILE", help="Appears only when it is whole.")],
    format_: Annotated[Format, typer.Option("--format", help="How it is written.")] = "ndjson",
    audience: AudienceOption = "operator",
    settled: SettledOption = None,
) -> None:
    """Write an account's events to a file: as the account what it may see, as operator hidden ones too."""
    if file.is_dir():
        raise Misused(f"--to {str(file)!r} is a directory; name a file")
    from consumers import export as files
    from consumers.warehouse.protocol import Audience

    with progress_bar() as progress:
        answer = _client(session).export(
            account,
            file,
            format_=files.Format(format_),
            audience=Audience(audience),
            settled=settled,
            progress=progress,
        )
    session.emit(answer, lambda: print(f"{answer['events']:,} events in {answer['file']}, SHA-256 {answer['sha256']}"))


def tail(
    session: Session,
    account: Annotated[str | None, typer.Argument(metavar="ID", help="Only this account's.")] = None,
    verdict: Annotated[
        Literal["ACCEPT", "HIDE"] | None, typer.Option(case_sensitive=False, help="Only those kept so.")
    ] = None,
    audience: AudienceOption = "operator",
) -> None:
    """Show events as they are kept, until Ctrl-C; write keys are shortened."""
    if audience == "account" and account is None:
        raise Misused("--as account needs the account's ID: pixelgate tail ID --as account")
    from consumers.warehouse.protocol import Audience

    for event in _client(session).tail(account, verdict=verdict and Verdict[verdict], audience=Audience(audience)):
        if session.json:
            line(event)
        else:
            print(event_line(event), flush=True)


def event_line(event: dict[str, Any]) -> str:
    """An event on one line."""
    verdict = event["verdict"] if event["verified"] else f"{event['verdict']} unverified"
    names = ("account", "name", "url", "visitor", "write_key")
    return "  ".join([event["received_at"], verdict, *(cell(event[name]) for name in names)])


@contextmanager
def progress_bar() -> "Iterator[Progress]":
    """A progress bar on stderr where that is a terminal, once there is something to wait for."""
    if not sys.stderr.isatty():
        yield lambda _done, _of: None
        return
    import time

    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

    started = time.monotonic()
    bar = Progress(
        "export", BarColumn(), DownloadColumn(), TimeRemainingColumn(), console=Console(stderr=True), transient=True
    )
    task = bar.add_task("export", total=None)

    def show(done: int, of: int) -> None:
        if not bar.live.is_started and time.monotonic() - started > PATIENCE_SECONDS:
            bar.start()
        bar.update(task, completed=done, total=of)

    try:
        yield show
    finally:
        bar.stop()


def _client(session: Session) -> "ConsumerClient":
    from consumers.client import ConsumerClient

    def settings() -> "ConsumerSettings":
        from consumers.config import ConsumerSettings
        from deploy.settings import load

        return load(ConsumerSettings)

    return ConsumerClient(session.existing(), settings)
