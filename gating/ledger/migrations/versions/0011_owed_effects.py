"""An index of the outbox's effects alone: whoever looks for them passes no change that waits to be relayed."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0007"
branch_labels = None
depends_on = None

EFFECTS = sa.text("kind <> 'change'")


def upgrade() -> None:
    """Add it. A row of kind `change`, which every flip writes, has no place in it."""
    op.create_index("ix_outbox_account_id", "outbox", ["account", "id"], sqlite_where=EFFECTS, postgresql_where=EFFECTS)
