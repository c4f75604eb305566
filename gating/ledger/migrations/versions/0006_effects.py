"""Effects that are carried out: their tries, dead letters, what a person has to do, and when sessions were ended."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Four tables; none of them is written by a flip."""
    op.create_table(
        "effect_tries",
        sa.Column("id", BIG, nullable=False, autoincrement=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("first_at_us", BIG, nullable=False),
        sa.Column("next_at_us", BIG, nullable=False),
        sa.Column("last_error", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_effect_tries"),
    )
    dead = (
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.Text()),
        sa.Column("died_at_us", BIG, nullable=False),
    )
    tasks = (
        sa.Column("due_at_us", BIG, nullable=False),
        sa.Column("done_at_us", BIG),
        sa.Column("done_by", sa.Text()),
    )
    for table, more in (("effect_dead", dead), ("effect_tasks", tasks)):
        op.create_table(
            table,
            sa.Column("id", BIG, nullable=False, autoincrement=False),
            sa.Column("account", NAME, nullable=False),
            sa.Column("at_us", BIG, nullable=False),
            sa.Column("kind", sa.Text(), nullable=False),
            sa.Column("payload", sa.LargeBinary(), nullable=False),
            *more,
            sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
            sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=f"fk_{table}_account"),
        )
    op.create_table(
        "sessions_ended",
        sa.Column("account", NAME, nullable=False),
        sa.Column("sessions_ended_at_us", BIG, nullable=False),
        sa.PrimaryKeyConstraint("account", name="pk_sessions_ended"),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_sessions_ended_account"),
    )
