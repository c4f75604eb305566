"""What payment providers tell: their events, whose their customers are, what is known of each subscription."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the three tables, empty."""
    op.create_table(
        "webhook_events",
        sa.Column("sequence", BIG, autoincrement=False, nullable=False),
        sa.Column("provider", NAME, nullable=False),
        sa.Column("event_id", NAME, nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("created_at_us", BIG, nullable=False),
        sa.Column("received_at_us", BIG, nullable=False),
        sa.Column("state", NAME, nullable=False),
        sa.Column("account", NAME),
        sa.Column("customer", NAME),
        sa.Column("why", sa.Text()),
        sa.Column("version", BIG),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_webhook_events"),
    )
    op.create_index("ix_webhook_events_provider_event_id", "webhook_events", ["provider", "event_id"], unique=True)
    op.create_index("ix_webhook_events_state_sequence", "webhook_events", ["state", "sequence"])
    op.create_index("ix_webhook_events_account", "webhook_events", ["account"])
    op.create_table(
        "webhook_customers",
        sa.Column("provider", NAME, nullable=False),
        sa.Column("customer", NAME, nullable=False),
        sa.Column("account", NAME, nullable=False),
        sa.Column("at_us", BIG, nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_webhook_customers_account"),
        sa.PrimaryKeyConstraint("provider", "customer", name="pk_webhook_customers"),
    )
    op.create_index("ix_webhook_customers_account", "webhook_customers", ["account"])
    op.create_table(
        "webhook_subscriptions",
        sa.Column("account", NAME, nullable=False),
        sa.Column("provider", NAME, nullable=False),
        sa.Column("subscription", NAME, nullable=False),
        sa.Column("known", sa.Text(), nullable=False),
        sa.Column("moved_at_us", BIG, nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_webhook_subscriptions_account"),
        sa.PrimaryKeyConstraint("account", "provider", "subscription", name="pk_webhook_subscriptions"),
    )
