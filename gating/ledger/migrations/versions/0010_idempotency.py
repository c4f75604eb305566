"""Answers of changes that were asked for under a key of the caller's."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """One new table; nothing that is there is touched."""
    op.create_table(
        "idempotency",
        sa.Column("scope", NAME, nullable=False),
        sa.Column("key", NAME, nullable=False),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.Column("account", NAME, nullable=False),
        sa.Column("at_us", BIG, nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "key", name="pk_idempotency"),
    )
    op.create_index("ix_idempotency_at_us", "idempotency", ["at_us"])
    op.create_index("ix_idempotency_account", "idempotency", ["account"])
