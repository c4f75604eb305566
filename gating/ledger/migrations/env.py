"""What Alembic runs for each migration: on the connection it is given, inside that connection's transaction."""

from alembic import context

from gating.ledger.tables import metadata

# SQLite's DDL is transactional when BEGIN is explicit (sqlite.py), so a killed migration leaves the old schema whole.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
