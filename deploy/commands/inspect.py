"""`pixelgate explain`, `verify`, `settings`, `doctor`: look, never change."""

from typing import Annotated, Any

import typer

from deploy.output import fields, table
from deploy.session import Session, command

FAILED_EXIT_CODE = 1
HitsOption = Annotated[bool, typer.Option("--hits", help="Add up the hits alone; leave the ledger's history unread.")]


def register(app: typer.Typer) -> None:
    """Add the commands and the group to the command line."""
    command(app, "explain", "pixelgate explain 'http://127.0.0.1:8080/p/KEY.gif?e=signup'")(explain)
    command(app, "verify", "pixelgate verify")(verify)
    command(app, "settings", "PIXELGATE_PORT=9000 pixelgate settings")(settings)
    command(app, "doctor", "pixelgate doctor")(doctor)


def settings(session: Session) -> None:
    """Print each setting with its value, where it comes from and what it means; secrets masked."""
    from dataclasses import asdict

    from deploy.settings import list_settings

    found = list_settings(session.options)
    rows = [(s.name, s.value, s.source, s.meaning) for s in found]
    session.emit([asdict(s) for s in found], lambda: table(("setting", "value", "source", "meaning"), rows, "none"))


def doctor(session: Session) -> None:
    """Check this machine and data directory: what is wrong, and what to do; exit 1 if anything fails."""
    from dataclasses import asdict

    from deploy.check import FAIL
    from deploy.doctor import examine

    checks = examine(session.root)
    rows = [(check.result, check.name, check.found, check.advice) for check in checks]
    session.emit(
        [asdict(check) for check in checks], lambda: table(("", "check", "found", "what to do"), rows, "no checks")
    )
    if any(check.result == FAIL for check in checks):
        raise typer.Exit(FAILED_EXIT_CODE)


def verify(session: Session, hits: HitsOption = False) -> None:
    """Prove conservation: hits counted, journalled and in the warehouse agree, the history is whole; exit 1 if not."""
    from consumers.config import ConsumerSettings
    from deploy.settings import load
    from deploy.verify import verify_all

    answer = verify_all(session.existing(), load(ConsumerSettings), hits_alone=hits)
    session.emit(answer, lambda: print_verified(answer))
    if not answer["ok"]:
        raise typer.Exit(FAILED_EXIT_CODE)


def print_verified(answer: dict[str, Any]) -> None:
    """The sums below each other, then the faults, then the verdict."""
    fields((name, value) for name, value in answer.items() if isinstance(value, int) and name != "ok")
    for lost in answer["unknown"]:
        if lost["counted_until"] is None:
            print(f"unknown: what the worker of journal {lost['journal']} did not keep: its counters do not read")
        else:
            print(
                f"unknown: what worker {lost['worker']} did not keep after {lost['counted_until']}, when it was killed"
            )
    for fault in answer["faults"]:
        print(f"FAULT  {fault}")
    print("ok" if answer["ok"] else "not ok")


def explain(
    session: Session,
    request: Annotated[str, typer.Argument(metavar="'URL or raw request'", help="As a client would send it.")],
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="As of this RFC 3339 time; default: now.")
    ] = None,
) -> None:
    """Tell what would become of a request without sending it: how it reads, whose key, which verdict by which rule."""
    from deploy.explain import explain_request

    answer = explain_request(session.existing(), request, at)
    session.emit(answer, lambda: print_explained(answer))


def print_explained(answer: dict[str, Any]) -> None:
    """The request, then each hit of it, each with the event that would be kept."""
    hits = answer.get("hits", [])
    fields((name.replace("_", " "), value) for name, value in answer.items() if name not in ("hits", "event"))
    for hit in [answer, *hits]:
        if hit is not answer:
            print()
            fields((name.replace("_", " "), value) for name, value in hit.items() if name != "event")
        if event := hit.get("event"):
            kept = {name: value for name, value in event.items() if name not in ("received_at", "account", "write_key")}
            fields((f"event {name}", value or None) for name, value in kept.items())
