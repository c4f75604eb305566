"""`pixelgate account`: create, list, show, history, receipt, do.

Each asks the gating process where one runs on this data directory, and leads by itself where none does (gateway.py).
"""

from json import dumps
from pathlib import Path
from typing import Annotated, Any

import typer

from deploy.errors import Misused
from deploy.output import fields, table, whole_text
from deploy.session import Session, command, group
from gating.errors import Refused
from gating.status import Role, Status

accounts = group("Accounts: create them, look at them, flip their status.")

AccountArgument = Annotated[str, typer.Argument(metavar="ID", help="The account's id.")]
WAIT_SECONDS = 10.0
PEOPLE = [role.value for role in Role if role is not Role.SYSTEM]


def register(app: typer.Typer) -> None:
    """Add the group to the command line."""
    app.add_typer(accounts, name="account")


@command(accounts, "create", "pixelgate account create --id shop --rulebook default")
def create(
    session: Session,
    rulebook: Annotated[str, typer.Option(metavar="NAME", help="Its rulebook; see `pixelgate rulebook list`.")],
    account: Annotated[str | None, typer.Option("--id", metavar="ID", help="Its id; a random one by default.")] = None,
    plan: Annotated[str | None, typer.Option(metavar="PLAN", help="Its plan, where the rulebook knows plans.")] = None,
    owner: Annotated[str | None, typer.Option(metavar="EMAIL", help="Its owner's address.")] = None,
    name: Annotated[str | None, typer.Option(metavar="TEXT", help="What people call it.")] = None,
) -> None:
    """Open an account with its first write key; returns when every worker knows it."""
    with session.gateway(new=True) as gateway:
        answer = gateway.create_account(account, rulebook=rulebook, plan=plan, owner=owner, name=name)
    names = ("account", "rulebook", "plan", "status", "write_key")
    session.emit(answer, lambda: fields((name, answer.get(name)) for name in names))


@command(accounts, "list", "pixelgate account list --status PAUSED")
def list_(
    session: Session,
    status: Annotated[Status | None, typer.Option(case_sensitive=False, help="Only these.")] = None,
    rulebook: Annotated[str | None, typer.Option(metavar="NAME", help="Only those under this rulebook.")] = None,
) -> None:
    """List accounts with their status as of now."""
    with session.gateway() as gateway:
        found = gateway.accounts(status=status, rulebook=rulebook)
    columns = ("account", "rulebook", "plan", "status", "verdict", "access")
    rows = [[row.get(column) for column in columns] for row in found]
    session.emit(found, lambda: table(columns, rows, "no accounts; open one with `pixelgate account create`"))


@command(accounts, "show", "pixelgate account show shop")
def show(session: Session, account: AccountArgument) -> None:
    """Show an account's status as of now, what it means for its hits and its access, and its write keys."""
    with session.gateway() as gateway:
        answer = gateway.account(account)

    def human() -> None:
        names = ("account", "name", "rulebook", "plan", "status", "verdict", "access", "version")
        version = f"{answer['rulebook_digest']} ({'as packaged' if answer['rulebook_packaged'] else 'another version'})"
        lines = [*((name, answer.get(name)) for name in names), ("deadline", deadline_of(answer))]
        fields([*lines, ("last activity", answer["last_activity"]), ("rulebook version", version)])
        print()
        table(("write key", "source", "created", "revoked"), [key_row(key) for key in answer["keys"]], "no write keys")

    session.emit(answer, human)


@command(accounts, "history", "pixelgate account history shop")
def history(
    session: Session,
    account: AccountArgument,
    refusals: Annotated[bool, typer.Option("--refusals", help="What was refused instead, the newest 1,000.")] = False,
    before: Annotated[
        int | None, typer.Option(metavar="SEQUENCE", min=1, help="With --refusals: those before this one.")
    ] = None,
) -> None:
    """List every change of an account: when, which command, by whom, for whom; or every refusal, and by which rule."""
    if before is not None and not refusals:
        raise Misused("--before goes with --refusals")
    with session.gateway() as gateway:
        rows = gateway.refusals(account, before=before) if refusals else gateway.history(account)
    if refusals:
        columns: tuple[str, ...] = (
            "sequence", "at", "times", "command", "role", "actor", "for", "code", "rule", "version",
        )  # fmt: skip
        none = f"nothing was refused on account {account!r}"
    else:
        columns = ("at", "command", "from", "to", "role", "actor", "for", "version")
        none = f"account {account!r} has no history"
    session.emit(rows, lambda: table(columns, [[row.get(column) for column in columns] for row in rows], none))


@command(accounts, "receipt", "pixelgate account receipt shop --to shop-receipt.json")
def receipt(
    session: Session,
    account: AccountArgument,
    file: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="Write the receipt here, as JSON, once it is given.")
    ] = None,
) -> None:
    """Show what was purged of a deleted account, and what stays; while it goes on, what it waits for."""
    with session.gateway() as gateway:
        answer = gateway.receipt(account)
    if file is not None:
        if answer["purged_at"] is None:
            raise Refused(f"account {account!r} has no receipt yet: it waits for {'; '.join(answer['waits_for'])}")
        whole_text(file, dumps(answer, indent=2) + "\n")
    session.emit(answer, lambda: print_receipt(answer))


@command(accounts, "do", "pixelgate account do shop pause --reason holidays")
def do(
    session: Session,
    account: AccountArgument,
    verb: Annotated[str, typer.Argument(metavar="COMMAND", help="A command of its rulebook; see `rulebook show`.")],
    role: Annotated[
        Role, typer.Option("--as", metavar="ROLE", help=f"Who carries it out: {', '.join(PEOPLE)}.")
    ] = Role.OPERATOR,
    on_behalf: Annotated[
        str | None, typer.Option("--for", metavar="PERSON", help="On whose request, where the rulebook asks for it.")
    ] = None,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why, where the rulebook asks for it.")] = None,
    confirm: Annotated[bool, typer.Option("--confirm", help="Yes, really: for what cannot be taken back.")] = False,
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="What else it asks for, such as plan=pro; may be repeated."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Return only when every worker enforces it.")] = True,
    timeout: Annotated[
        float, typer.Option(metavar="S", min=0.0, help="Wait at most S seconds, then exit 4.")
    ] = WAIT_SECONDS,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen; change nothing.")] = False,
) -> None:
    """Flip an account's status by a command of its rulebook; returns when every worker enforces it."""
    with session.gateway() as gateway:
        answer = gateway.do(
            account,
            verb,
            role=role,
            on_behalf=on_behalf,
            reason=reason,
            confirm=confirm,
            values=values_of(values or []),
            wait=wait,
            timeout_seconds=timeout,
            dry_run=dry_run,
        )
    session.emit(answer, lambda: print(flip_in_words(answer, dry_run)))


@command(accounts, "move", "pixelgate account move shop")
def move(
    session: Session,
    account: AccountArgument,
    to_rulebook: Annotated[
        str | None, typer.Option("--to-rulebook", metavar="NAME", help="Another rulebook; else its own, as packaged.")
    ] = None,
    recompute: Annotated[
        bool, typer.Option("--recompute-deadlines", help="Count deadlines anew; else those stored stay.")
    ] = False,
) -> None:
    """Move an account to the packaged version of its rulebook, or to another rulebook."""
    with session.gateway() as gateway:
        answer = gateway.move(account, to_rulebook=to_rulebook, recompute_deadlines=recompute)

    def human() -> None:
        to = f"{answer['rulebook']} {answer['rulebook_digest']}"
        if not answer["changed"]:
            print(f"{answer['account']}: lives under {to} already")
            return
        before = f"{answer['from_rulebook']} {answer['from_digest']}"
        print(f"{answer['account']}: {before} -> {to}; {answer['status']} ({answer['verdict']}, {answer['access']})")

    session.emit(answer, human)


def print_receipt(answer: dict[str, Any]) -> None:
    """The moments, the stores, what stays or what is waited for."""
    fields((name.replace("_", " "), answer.get(name)) for name in ("account", "deleted_at", "purged_at"))
    print()
    columns = ("store", "found", "gone_at", "gone_by") if answer["purged_at"] is None else ("store", "found", "gone_at")
    table(columns, [[row.get(name) for name in columns] for row in answer["stores"]], "no store was looked at yet")
    print()
    if answer["purged_at"] is None:
        for waiting in answer["waits_for"]:
            print(f"waits for {waiting}")
        return
    fields((name.replace("_", " "), value) for name, value in answer["remains"].items())


def values_of(pairs: list[str]) -> dict[str, str]:
    """Read `--set NAME=VALUE`; raises Misused for one without a name, or twice the same name."""
    values: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise Misused(f"--set {pair!r} does not read: write it as NAME=VALUE, for example --set plan=pro")
        if name in values:
            raise Misused(f"--set gives {name!r} twice; give it once")
        values[name] = value
    return values


def flip_in_words(answer: dict[str, Any], dry_run: bool) -> str:
    """What a command did, on one line."""
    before, after = answer["from"], answer["to"]
    moved = f"{before} -> {after}" if before != after else f"stays {after}"
    text = f"{answer['account']}: {moved} ({answer['verdict']}, access {answer['access']})"
    if dry_run:
        return f"{text}; dry run, nothing changed"
    if not answer.get("enforced"):
        return f"{text}; committed as version {answer['version']}, not waited for"
    workers = answer.get("workers", 0)
    return f"{text}; enforced by {workers} worker{'' if workers == 1 else 's'} in {answer.get('waited_ms', 0):.0f} ms"


def deadline_of(answer: dict[str, Any]) -> str | None:
    """A deadline as `TIME then STATUS`."""
    deadline = answer.get("deadline")
    if not deadline:
        return None
    return f"{deadline['at']} then {deadline['then']}"


def key_row(key: dict[str, Any]) -> list[object]:
    """A write key as a row of a table."""
    return [key.get("write_key"), key.get("source"), key.get("created_at"), key.get("revoked_at")]
