"""The command line: `pixelgate`, assembled from commands/.

The entry point of the package. It must stay quick to start: a command loads what it needs when it runs, so that neither
`--help` nor a flip waits for a warehouse or a web framework.
"""

from typing import Annotated

import typer

from deploy.commands import (
    account,
    billing,
    clock,
    data,
    effects,
    history,
    inspect,
    journal,
    key,
    person,
    roles,
    rulebook,
    token,
)
from deploy.session import DataOption, JsonOption, open_session

app = typer.Typer(
    name="pixelgate",
    help="Pixelgate: a tracking-pixel collector; an account's status decides whether a hit is kept, hidden or dropped.",
    epilog="Example: pixelgate run",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def show_version(asked: bool) -> None:
    """Print which release this is, and end."""
    if asked:
        from importlib.metadata import version

        print(f"pixelgate {version('pixelgate')}")
        raise typer.Exit


VersionOption = Annotated[
    bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show which release this is, and exit.")
]


@app.callback()
def common(
    ctx: typer.Context, data: DataOption = None, json: JsonOption = False, _version: VersionOption = False
) -> None:
    """Take the global options that stand before the command's name."""
    ctx.obj = open_session(data, json)


roles.register(app)
account.register(app)
key.register(app)
billing.register(app)
effects.register(app)
data.register(app)
history.register(app)
clock.register(app)
inspect.register(app)
journal.register(app)
rulebook.register(app)
token.register(app)
person.register(app)

if __name__ == "__main__":
    app()
