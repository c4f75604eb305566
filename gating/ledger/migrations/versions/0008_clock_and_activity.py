"""The leading service's heartbeat, and the accounts' last activity as the consumers report it."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Three tables, all empty: the first heartbeat is believed, and no activity is known until it is reported. And an
    index of the effects that are owed, which lie among the changes that are."""
    of_effects = sa.text("kind <> 'change'")
    op.create_index("ix_outbox_effects", "outbox", ["id"], sqlite_where=of_effects, postgresql_where=of_effects)
    op.create_table(
        "heartbeat",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("wall_us", BIG, nullable=False),
        sa.Column("boot_id", sa.Text(), nullable=False),
        sa.Column("boot_ns", BIG, nullable=False),
        sa.Column("least_us", BIG, nullable=False),
        sa.Column("steady_us", BIG, nullable=False),
        sa.CheckConstraint("id = 1", name="ck_heartbeat_one_row"),
        sa.PrimaryKeyConstraint("id", name="pk_heartbeat"),
    )
    op.create_table(
        "activity",
        sa.Column("account", NAME, nullable=False),
        sa.Column("at_us", BIG, nullable=False),
        sa.PrimaryKeyConstraint("account", name="pk_activity"),
    )
    op.create_table(
        "activity_reporters",
        sa.Column("place", NAME, nullable=False),
        sa.Column("until_us", BIG, nullable=False),
        sa.Column("seen_at_us", BIG, nullable=False),
        sa.PrimaryKeyConstraint("place", name="pk_activity_reporters"),
    )
