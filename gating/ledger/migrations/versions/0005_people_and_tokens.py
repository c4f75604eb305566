"""People of an account, and the tokens that people and programs sign in with."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Two new tables; nothing that is there is touched."""
    op.create_table(
        "tokens",
        sa.Column("id", NAME, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("account", NAME, nullable=True),
        sa.Column("person", NAME, nullable=True),
        sa.Column("permissions", sa.Text(), nullable=False),
        sa.Column("created_at_us", BIG, nullable=False),
        sa.Column("expires_at_us", BIG, nullable=True),
        sa.Column("revoked_at_us", BIG, nullable=True),
        sa.Column("used_at_us", BIG, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_tokens_account"),
    )
    op.create_index("ix_tokens_digest", "tokens", ["digest"], unique=True)
    op.create_table(
        "people",
        sa.Column("id", NAME, nullable=False),
        sa.Column("account", NAME, nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("permissions", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("created_at_us", BIG, nullable=False),
        sa.Column("removed_at_us", BIG, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_people"),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_people_account"),
    )
    op.create_index("ix_people_account", "people", ["account"])
