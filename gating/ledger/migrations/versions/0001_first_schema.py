"""The first schema: what each table holds is told in `gating/ledger/tables.py`."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

LEAD_COLUMNS = ("id", "term", "holder", "boot_id", "until_boot_ns", "enforced_version", "enforced_term")
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make every table, and the two rows that there is one of."""
    _accounts_and_keys()
    _history()
    _gate_and_outbox()
    _single_rows()


def _accounts_and_keys() -> None:
    """What holds now."""
    op.create_table(
        "accounts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("rulebook", sa.Text(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Integer(), nullable=False),
        sa.Column("access", sa.Text(), nullable=False),
        sa.Column("version", BIG, nullable=False),
        sa.Column("revealed_version", BIG, nullable=False),
        sa.Column("created_at_us", BIG, nullable=False),
        sa.Column("deadline_at_us", BIG, nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
    )
    op.create_index("ix_accounts_deadline_at_us", "accounts", ["deadline_at_us"], unique=False)
    op.create_table(
        "keys",
        sa.Column("write_key", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("created_at_us", BIG, nullable=False),
        sa.Column("created_version", BIG, nullable=False),
        sa.Column("revoked_at_us", BIG, nullable=True),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_keys_account"),
        sa.PrimaryKeyConstraint("write_key", name="pk_keys"),
    )
    op.create_index("ix_keys_account", "keys", ["account"], unique=False)
    op.create_table(
        "rulebooks",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_rulebooks"),
    )


def _history() -> None:
    """What happened, and beside it what can be erased."""
    op.create_table(
        "history",
        sa.Column("version", BIG, autoincrement=False, nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("at_us", BIG, nullable=False),
        sa.Column("command", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("on_behalf", sa.Text(), nullable=True),
        sa.Column("from_status", sa.Text(), nullable=True),
        sa.Column("to_status", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Integer(), nullable=False),
        sa.Column("access", sa.Text(), nullable=False),
        sa.Column("until_us", BIG, nullable=True),
        sa.Column("then_verdict", sa.Integer(), nullable=True),
        sa.Column("effects", sa.Text(), nullable=False),
        sa.Column("keys", sa.Text(), nullable=False),
        sa.Column("state_digest", sa.LargeBinary(), nullable=False),
        sa.Column("previous", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_history_account"),
        sa.PrimaryKeyConstraint("version", name="pk_history"),
    )
    op.create_index("ix_history_account_version", "history", ["account", "version"], unique=False)
    op.create_table(
        "details",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("version", BIG, autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_details_account"),
        sa.ForeignKeyConstraint(["version"], ["history.version"], name="fk_details_version"),
        sa.PrimaryKeyConstraint("account", "version", "name", name="pk_details"),
    )


def _gate_and_outbox() -> None:
    """What travels, and what is owed."""
    op.create_table(
        "gate",
        sa.Column("version", BIG, autoincrement=False, nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("change", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_gate_account"),
        sa.PrimaryKeyConstraint("version", name="pk_gate"),
    )
    op.create_index("ix_gate_account", "gate", ["account"], unique=True)
    op.create_table(
        "outbox",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("at_us", BIG, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_outbox_account"),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
    )


def _single_rows() -> None:
    """The counter and the lead, each with its row; the epoch is drawn here, so that no two ledgers share one."""
    op.create_table(
        "meta",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.Text(), nullable=False),
        sa.Column("head", BIG, nullable=False),
        sa.Column("chain", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("id = 1", name="ck_meta_one_row"),
        sa.PrimaryKeyConstraint("id", name="pk_meta"),
    )
    op.create_table(
        "lead",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("term", BIG, nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("boot_id", sa.Text(), nullable=False),
        sa.Column("until_boot_ns", BIG, nullable=False),
        sa.Column("enforced_version", BIG, nullable=False),
        sa.Column("enforced_term", BIG, nullable=False),
        sa.CheckConstraint("id = 1", name="ck_lead_one_row"),
        sa.PrimaryKeyConstraint("id", name="pk_lead"),
    )
    meta = sa.table("meta", sa.column("id"), sa.column("epoch"), sa.column("head"), sa.column("chain"))
    op.execute(meta.insert().values(id=1, epoch=secrets.token_hex(16), head=0, chain=bytes(32)))
    lead = sa.table("lead", *(sa.column(name) for name in LEAD_COLUMNS))
    op.execute(
        lead.insert().values(id=1, term=0, holder="", boot_id="", until_boot_ns=0, enforced_version=0, enforced_term=0)
    )
