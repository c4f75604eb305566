"""Which schema a ledger has, and how it gets this release's: checked before anything else is read or written."""

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text

from gating.errors import DataDirectoryUnknown, Unreachable
from gating.ledger.tables import REVISIONS

_MIGRATIONS: Final = Path(__file__).with_name("migrations")


def revision(connection: Connection) -> str | None:
    """The schema's revision; None where there is nothing yet.

    Raises DataDirectoryUnknown for a newer release's ledger and for a database that is somebody else's.
    """
    # The first schema of PostgreSQL's search_path alone: a database may hold others, and other programs' tables.
    schema = connection.dialect.default_schema_name
    if schema is None:
        raise Unreachable("the ledger's database has no schema that this role may use: see docs/postgresql.md")
    tables = set(inspect(connection).get_table_names(schema))
    if not tables:
        return None
    if not {"alembic_version", "meta", "history"} <= tables:
        raise DataDirectoryUnknown(
            f"the ledger's database is none of Pixelgate's (it holds table {min(tables)!r}): nothing was changed; "
            "give another data directory by --data, or another database or schema in DATABASE_URL"
        )
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    if found not in REVISIONS:
        raise DataDirectoryUnknown(
            f"the ledger has schema {found!r}, this release knows up to {REVISIONS[-1]!r}: "
            "use the newer release that wrote it"
        )
    return str(found)


def is_current(connection: Connection) -> bool:
    """Tell whether the schema is this release's. Raises as `revision`."""
    return revision(connection) == REVISIONS[-1]


def require_current(connection: Connection) -> None:
    """For a reader, which must not migrate. Raises Unreachable where it would have to."""
    found = revision(connection)
    if found != REVISIONS[-1]:
        what = "is empty" if found is None else f"has the older schema {found!r}"
        raise Unreachable(f"the ledger {what}: start the gating service, which brings it to {REVISIONS[-1]!r}")


def migrate(connection: Connection) -> None:
    """Bring the schema up to this release's, inside the caller's write transaction. Raises as `revision`."""
    if is_current(connection):
        return
    # Alembic takes a tenth of a second to import, and only a ledger's first opening by a release needs it.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
