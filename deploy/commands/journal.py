"""`pixelgate journal`: check, show, dead-letters, resend. Journals' files are never written to."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from collector.event import time_text
from deploy.errors import NoSuchRecord
from deploy.output import cell, emit, fields, say, table
from deploy.session import Session, command, group

if TYPE_CHECKING:
    from collector.journal.format import Record
    from collector.journal.recovery import Recovery
    from collector.publisher.dead_letters import Letter
    from collector.publisher.resend import Resent

journals = group("Journals: check or show what their files hold; they are never written to.")

DAMAGED_EXIT_CODE = 1

DirectoryArgument = Annotated[
    Path,
    typer.Argument(
        metavar="DIR", exists=True, file_okay=False, help="A journal's directory, or one that holds several."
    ),
]

DeadLettersArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="[DIR]",
        exists=True,
        file_okay=False,
        help="Dead letters, or a data directory. Default: that of --data.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the group to the command line."""
    app.add_typer(journals, name="journal")


@command(journals, "check", "pixelgate journal check data/journals")
def check(session: Session, directory: DirectoryArgument) -> None:
    """Count frames and records, the forgiven torn tail, and what is damaged or missing; exit 1 if anything is."""
    from collector.journal import recovery

    found = {path.name: recovery.check(path) for path in journals_in(directory)}
    answer = summed(found)

    def human() -> None:
        sums = ((name.replace("_", " "), answer[name]) for name in ("frames", "records", "torn_bytes", "corrupt_bytes"))
        fields([("journals", len(found)), *sums])
        for name, state in found.items():
            for damage in state.corruptions:
                print(
                    f"DAMAGED  {damage.segment.name} of {name}: {damage.bytes} bytes at {damage.offset} hold no frame"
                )
            for first, last in state.missing:
                print(f"MISSING  {name}: sequences {first} to {last}")

    session.emit(answer, human)
    if any(state.missing or state.corruptions for state in found.values()):
        raise typer.Exit(DAMAGED_EXIT_CODE)


@command(journals, "show", "pixelgate journal show data/journals/0123456789abcdef0123456789abcdef --seq 7")
def show(
    session: Session,
    directory: DirectoryArgument,
    sequence: Annotated[int | None, typer.Option("--seq", metavar="N", min=1, help="Only this record.")] = None,
) -> None:
    """Show the records that lie in a journal, in order; with --json a list, or with --seq the one object."""
    from collector.journal import recovery

    paths = journals_in(directory)
    if sequence is not None:
        records = [record for path in paths for record in recovery.show(path, sequence)]
        if not records:
            raise NoSuchRecord(f"no record with sequence {sequence} lies in {directory}")
        emit(as_object(records[0]), session.json, lambda: print(as_line(records[0])))
        return
    if not paths:
        say(f"{directory} holds no journal: all was taken over, or nothing was ever kept")
    every = (record for path in paths for record in recovery.show(path))
    if session.json:
        print_list(every)
    else:
        for record in every:
            print(as_line(record))


@command(journals, "dead-letters", "pixelgate journal dead-letters")
def dead_letters(session: Session, directory: DeadLettersArgument = None) -> None:
    """Show the events that Kafka refused and that were not sent again; exit 1 if a file of them is damaged."""
    from collector.publisher.dead_letters import find

    place = _dead_letters_of(session, directory)
    found = find(place)
    waiting = [letter for _, letter in found.unsent]
    answer = {
        "letters": [letter_object(letter) for letter in waiting],
        "sent": len(found.sent),
        "damaged": [str(path) for path in found.damaged],
    }

    def human() -> None:
        rows = [
            (letter.id, time_text(letter.at_us), letter.topic, len(letter.event), letter.reason) for letter in waiting
        ]
        table(("ID", "SET ASIDE", "TOPIC", "BYTES", "REASON"), rows, f"no dead letter waits in {place}")
        for path in found.damaged:
            print(f"DAMAGED  {path}")

    session.emit(answer, human)
    if found.damaged:
        raise typer.Exit(DAMAGED_EXIT_CODE)


@command(journals, "resend", "pixelgate journal resend")
def resend(session: Session, directory: DeadLettersArgument = None) -> None:
    """Send dead letters to Kafka again, and mark as sent what it takes; exit 1 if it still refuses any."""
    done = _resent(session, _dead_letters_of(session, directory))
    refused = [{"id": letter.id, "reason": reason} for letter, reason in done.refused]

    def human() -> None:
        fields([("sent", done.sent), ("refused", len(refused))])
        for one in refused:
            print(f"REFUSED  {one['id']}: {one['reason']}")

    session.emit({"sent": done.sent, "refused": refused}, human)
    if refused:
        raise typer.Exit(DAMAGED_EXIT_CODE)


def _resent(session: Session, place: Path) -> "Resent":
    import asyncio
    import logging

    from collector.config import PublisherSettings
    from collector.errors import SettingMissing
    from collector.publisher.resend import resend as send_again
    from collector.publisher.sink import KafkaSink
    from collector.publisher.topics import Topics
    from deploy.settings import load

    settings = load(PublisherSettings)
    if settings.kafka_bootstrap is None:
        raise SettingMissing("KAFKA_BOOTSTRAP", "dead letters are sent to Kafka: host:port,host:port")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what matters is told in our words
    bootstrap, partitions = settings.kafka_bootstrap, settings.kafka_partitions

    async def work() -> "Resent":
        return await send_again(place, KafkaSink(bootstrap, Topics(), partitions))

    with session.existing().hold("dead-letters"):
        return asyncio.run(work())


def _dead_letters_of(session: Session, directory: Path | None) -> Path:
    """The directory given, one below it, or the data directory's."""
    from collector.publisher.dead_letters import DIRECTORY

    root = directory or session.existing().root
    return root / DIRECTORY if (root / "VERSION").exists() else root


def letter_object(letter: "Letter") -> dict[str, Any]:
    """A dead letter as plain values, the event whole."""
    import orjson

    return {
        "id": letter.id,
        "journal": letter.journal,
        "sequence": letter.sequence,
        "topic": letter.topic,
        "reason": letter.reason,
        "at": time_text(letter.at_us),
        "event": orjson.loads(letter.event),
    }


def journals_in(directory: Path) -> list[Path]:
    """The journal that this directory is, or those in it, or in the data directory that it is."""
    from collector.journal.directory import is_journal

    if is_journal(directory.absolute()):
        return [directory.absolute()]
    parent = directory / "journals" if (directory / "VERSION").exists() else directory
    return [path for path in sorted(parent.absolute().iterdir()) if is_journal(path)]


def summed(found: "dict[str, Recovery]") -> dict[str, Any]:
    """CONTRACT's object over all journals, and each journal's own below it."""
    each = [{"journal": name, **state.to_json()} for name, state in found.items()]
    return {
        "frames": sum(state.frames for state in found.values()),
        "records": sum(state.records for state in found.values()),
        "torn_bytes": sum(state.torn_bytes for state in found.values()),
        "missing": [list(span) for state in found.values() for span in state.missing],
        "corrupt_bytes": sum(damage.bytes for state in found.values() for damage in state.corruptions),
        "journals": each,
    }


def as_object(record: "Record") -> dict[str, Any]:
    """A record as plain values; the head's bytes as latin-1, which loses none."""
    return {
        "sequence": record.sequence,
        "received_at": time_text(record.received_at_us),
        "verdict": record.verdict.name,
        "verified": record.verified,
        "version": record.version,
        "account": record.account,
        "peer": record.peer,
        "head": record.head.decode("latin-1"),
        "body": None if record.body is None else record.body.decode("utf-8", "replace"),
    }


def as_line(record: "Record") -> str:
    """A record on one line: neither the key nor the query nor the address, which a screen is no place for."""
    from collector.hit import parse_head

    method = parse_head(record.head).method.decode("latin-1")
    verdict = record.verdict.name if record.verified else f"{record.verdict.name} unverified"
    what = f"{method}, {len(record.head):,} bytes" + (", of a batch" if record.body is not None else "")
    return f"{record.sequence}  {time_text(record.received_at_us)}  {verdict}  {cell(record.account)}  {cell(what)}"


def print_list(records: "Iterator[Record]") -> None:
    """One JSON list, written as it is read: a journal may hold millions."""
    import orjson

    separator = b"["
    for record in records:
        sys.stdout.buffer.write(separator + orjson.dumps(as_object(record)))
        separator = b",\n"
    sys.stdout.buffer.write(b"[]\n" if separator == b"[" else b"]\n")
    sys.stdout.buffer.flush()
