"""PostgreSQL orders ids and keys by their bytes, as SQLite does: pages by id are then the same on either.

It also frees their indexes from the host's locale, whose rules change with the operating system's releases.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

COLUMNS = (
    ("accounts", "id"), ("keys", "write_key"), ("keys", "account"), ("history", "account"), ("details", "account"),
    ("details", "name"), ("gate", "account"), ("outbox", "account"), ("rulebooks", "digest"), ("relayed", "place"),
)  # fmt: skip


def upgrade() -> None:
    """Nothing on SQLite, which knows no other order."""
    if op.get_context().dialect.name == "postgresql":
        for table, column in COLUMNS:
            op.alter_column(table, column, type_=sa.Text(collation="C"), existing_nullable=False)
