"""What was refused, chained as the history is, and the newest row beside it."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the two tables: no refusal yet."""
    op.create_table(
        "refusals",
        sa.Column("sequence", BIG, autoincrement=False, nullable=False),
        sa.Column("account", NAME),
        sa.Column("version", BIG),
        sa.Column("at_us", BIG, nullable=False),
        sa.Column("until_us", BIG, nullable=False),
        sa.Column("times", BIG, nullable=False),
        sa.Column("command", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("on_behalf", sa.Text()),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text()),
        sa.Column("previous", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_refusals_account"),
        sa.PrimaryKeyConstraint("sequence", name="pk_refusals"),
    )
    op.create_index("ix_refusals_account_sequence", "refusals", ["account", "sequence"])
    op.create_table(
        "refusals_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sequence", BIG, nullable=False),
        sa.Column("chain", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("id = 1", name="ck_refusals_head_one_row"),
        sa.PrimaryKeyConstraint("id", name="pk_refusals_head"),
    )
    head = sa.table("refusals_head", sa.column("id"), sa.column("sequence"), sa.column("chain"))
    op.execute(head.insert().values(id=1, sequence=0, chain=bytes(32)))
