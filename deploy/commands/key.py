"""`pixelgate key`: create, list, name, find, rotate, revoke write keys. A change returns once every worker has it."""

import sys
from typing import Annotated, Any

import typer

from deploy.commands.account import AccountArgument, key_row
from deploy.errors import Misused
from deploy.output import fields, table
from deploy.session import Session, command, group

keys = group("Write keys: public by nature, so they name a source and prove nothing.")

TEXT_CHARACTERS_MAX = 64 * 1024  # gating/keys.py's: more is refused there
KeyOption = Annotated[str | None, typer.Option("--key", metavar="K", help="Only this write key.")]
SourceOption = Annotated[str | None, typer.Option("--source", metavar="S", help="A name for where it is used.")]


def register(app: typer.Typer) -> None:
    """Add the group to the command line."""
    app.add_typer(keys, name="key")


def key_in_words(answer: dict[str, Any]) -> None:
    """What became of which key."""
    names = (("account", "account"), ("write key", "write_key"), ("revoked", "revoked"), ("version", "version"))
    fields((label, answer.get(name)) for label, name in names)


@command(keys, "create", "pixelgate key create shop --source blog")
def create(session: Session, account: AccountArgument, source: SourceOption = None) -> None:
    """Give an account one more write key."""
    with session.gateway() as gateway:
        answer = gateway.create_key(account, source=source)
    session.emit(answer, lambda: key_in_words(answer))


@command(keys, "list", "pixelgate key list shop")
def list_(session: Session, account: AccountArgument) -> None:
    """List an account's write keys, revoked ones too."""
    with session.gateway() as gateway:
        found = gateway.keys(account)
    columns = ("write key", "source", "created", "revoked")
    session.emit(found, lambda: table(columns, [key_row(key) for key in found], f"{account!r} has no write keys"))


@command(keys, "rotate", "pixelgate key rotate shop --source blog --grace 3600")
def rotate(
    session: Session,
    account: AccountArgument,
    key: KeyOption = None,
    source: Annotated[str | None, typer.Option("--source", metavar="S", help="Or all of this source.")] = None,
    grace: Annotated[float, typer.Option(metavar="S", min=0.0, help="The old key works this many seconds more.")] = 0.0,
) -> None:
    """Replace the account's only write key, or those named, by new ones; --grace keeps the old ones for a while."""
    if key and source:
        raise Misused("--key and --source both say which key to rotate; give one of them")
    with session.gateway() as gateway:
        answer = gateway.rotate_key(account, key=key, source=source, grace_seconds=grace)
    session.emit(answer, lambda: key_in_words(answer))


@command(keys, "revoke", "pixelgate key revoke shop --key Xy12...")
def revoke(
    session: Session,
    account: AccountArgument,
    key: Annotated[str, typer.Option("--key", metavar="K", help="This write key.")],
) -> None:
    """End a write key: its hits are dropped from then on."""
    with session.gateway() as gateway:
        answer = gateway.revoke_key(account, key=key)
    session.emit(answer, lambda: key_in_words(answer))


@command(keys, "name", "pixelgate key name shop --key Xy12... --source blog")
def name(
    session: Session,
    account: AccountArgument,
    source: Annotated[str, typer.Option("--source", metavar="S", help="What it is called from now on.")],
    key: KeyOption = None,
    from_source: Annotated[str | None, typer.Option("--from", metavar="S", help="Or all keys of this source.")] = None,
) -> None:
    """Say what a key is for, or give a source another name; what the keys' hits are worth stays."""
    if bool(key) == bool(from_source):
        raise Misused("--key and --from both say what to name; give one of them")
    with session.gateway() as gateway:
        answer = gateway.name_key(account, key=key, from_source=from_source, source=source)

    def human() -> None:
        for write_key in answer["write_keys"]:
            print(f"{write_key}  {answer['source']}")

    session.emit(answer, human)


@command(keys, "find", "pixelgate key find 'https://px.example/p/Xy12....gif?u=...'")
def find(
    session: Session,
    text: Annotated[
        str, typer.Argument(metavar="KEY", help="A key, its first 8 characters or more, a text with keys; - for stdin.")
    ],
) -> None:
    """Tell which account and source a key found somewhere belongs to, and what it does now."""
    if text == "-":
        text = sys.stdin.read(TEXT_CHARACTERS_MAX + 1)
    if not text.strip():
        raise Misused("the text is empty: give a write key, its beginning, or what it stands in")
    with session.gateway() as gateway:
        found = gateway.find_key(text)
    columns = ("write_key", "account", "source", "state", "revoked_at", "status", "verdict")
    session.emit(found, lambda: table(columns, [[key.get(name) for name in columns] for key in found], ""))
