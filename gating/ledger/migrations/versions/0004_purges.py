"""Purges of deleted accounts, their receipts, and the payments that outlive both for a term."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add four tables, all empty."""
    op.create_table(
        "purges",
        sa.Column("account", NAME, nullable=False),
        sa.Column("store", NAME, nullable=False),
        sa.Column("found", BIG, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("done_at_us", BIG),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_purges_account"),
        sa.PrimaryKeyConstraint("account", "store", name="pk_purges"),
    )
    op.create_table(
        "purge_places",
        sa.Column("place", NAME, nullable=False),
        sa.Column("seen_at_us", BIG, nullable=False),
        sa.PrimaryKeyConstraint("place", name="pk_purge_places"),
    )
    op.create_table(
        "receipts",
        sa.Column("account", NAME, nullable=False),
        sa.Column("at_us", BIG, nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_receipts_account"),
        sa.PrimaryKeyConstraint("account", name="pk_receipts"),
    )
    op.create_table(
        "billing_records",
        sa.Column("account", NAME, nullable=False),
        sa.Column("transaction_id", NAME, nullable=False),
        sa.Column("at_us", BIG, nullable=False),
        sa.Column("amount", BIG, nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("keep_until_us", BIG, nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_billing_records_account"),
        sa.PrimaryKeyConstraint("account", "transaction_id", name="pk_billing_records"),
    )
    op.create_index("ix_billing_records_keep_until_us", "billing_records", ["keep_until_us"])
