"""Several gating services on one ledger: a beat that a challenger watches, and how far changes were relayed."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the columns, each 0, and the table."""
    for name in ("beat", "enforced_workers"):
        op.add_column("lead", sa.Column(name, BIG, nullable=False, server_default="0"))
    op.create_table(
        "relayed",
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("version", BIG, nullable=False),
        sa.PrimaryKeyConstraint("place", name="pk_relayed"),
    )
