"""The ledger's tables, as SQLAlchemy Core sees them; `migrations/` makes them.

One change of an account is one row of `history` under one version, and the same transaction moves what is read fast:
`accounts`, `keys` and `gate` are projections of the history (`projections.py` checks them), `outbox` is what is still
to be told or done. Portable SQL alone: PostgreSQL takes the same tables. Times are microseconds UTC (`*_us`).
"""

from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)

from gating.ledger.columns import BIG, NAME, metadata
from gating.ledger.tables_owed import (
    billing_records,
    effect_dead,
    effect_tasks,
    effect_tries,
    purge_places,
    purges,
    receipts,
    sessions_ended,
    webhook_customers,
    webhook_events,
    webhook_subscriptions,
)

REVISIONS: Final = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010")
"""Every migration, oldest first; this release reads and writes the last one's schema."""

__all__ = [
    "BIG",
    "EFFECTS",
    "NAME",
    "OWED_MAX",
    "REVISIONS",
    "accounts",
    "activity",
    "activity_reporters",
    "billing_records",
    "details",
    "effect_dead",
    "effect_tasks",
    "effect_tries",
    "gate",
    "heartbeat",
    "history",
    "idempotency",
    "keys",
    "lead",
    "meta",
    "metadata",
    "outbox",
    "people",
    "purge_places",
    "purges",
    "receipts",
    "refusals",
    "refusals_head",
    "relayed",
    "rulebooks",
    "sessions_ended",
    "tokens",
    "webhook_customers",
    "webhook_events",
    "webhook_subscriptions",
]

# One row. `head` is the counter of versions, locked by every write transaction; `chain` the last row's digest.
meta = Table(
    "meta",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="one_row"), primary_key=True, autoincrement=False),
    Column("epoch", Text, nullable=False),
    Column("head", BIG, nullable=False),
    Column("chain", LargeBinary, nullable=False),
)

# What holds for each account since its newest change. A row is never deleted: DELETED is a tombstone (I8).
# `state` is lifecycle.Account as JSON; the columns beside it are what is listed, filtered and swept by.
accounts = Table(
    "accounts",
    metadata,
    Column("id", NAME, primary_key=True),
    Column("rulebook", Text, nullable=False),
    Column("plan", Text),
    Column("status", Text, nullable=False),
    Column("verdict", Integer, nullable=False),
    Column("access", Text, nullable=False),
    Column("version", BIG, nullable=False),
    Column("revealed_version", BIG, nullable=False),
    Column("created_at_us", BIG, nullable=False),
    Column("deadline_at_us", BIG),
    Column("state", Text, nullable=False),
    Index(None, "deadline_at_us"),  # and no other: each costs every flip two page writes, and a list may scan
)

# Write keys, for ever: one that was revoked is never given again. `source` can be erased.
keys = Table(
    "keys",
    metadata,
    Column("write_key", NAME, primary_key=True),
    Column("account", NAME, ForeignKey("accounts.id"), nullable=False),
    Column("source", Text),
    Column("created_at_us", BIG, nullable=False),
    Column("created_version", BIG, nullable=False),
    Column("revoked_at_us", BIG),
    Index(None, "account"),
)

# Append-only, hash-chained (`history.py`), ids alone. Versions go 1, 2, 3 ... without a gap.
history = Table(
    "history",
    metadata,
    Column("version", BIG, primary_key=True, autoincrement=False),
    Column("account", NAME, ForeignKey("accounts.id"), nullable=False),
    Column("at_us", BIG, nullable=False),
    Column("command", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("on_behalf", Text),
    Column("from_status", Text),
    Column("to_status", Text, nullable=False),
    Column("status", Text, nullable=False),  # the account's own after it: where `to` lies beneath, another one
    Column("verdict", Integer, nullable=False),
    Column("access", Text, nullable=False),
    Column("until_us", BIG),
    Column("then_verdict", Integer),
    Column("effects", Text, nullable=False),  # JSON list of names
    Column("keys", Text, nullable=False),  # JSON list of [write key, revoked at or null]: those this change touched
    Column("state_digest", LargeBinary, nullable=False),  # SHA-256 of accounts.state after it
    Column("previous", LargeBinary, nullable=False),  # the digest of the row before
    Column("digest", LargeBinary, nullable=False),
    Index(None, "account", "version"),
)

# What was refused: ids and codes alone, chained as the history is (`refusals.py`). A row that stands for several says
# how many, and from when until when. `account` is null where it stands for what was not written down one by one.
refusals = Table(
    "refusals",
    metadata,
    Column("sequence", BIG, primary_key=True, autoincrement=False),
    Column("account", NAME, ForeignKey("accounts.id")),
    Column("version", BIG),  # of the account when it was refused
    Column("at_us", BIG, nullable=False),
    Column("until_us", BIG, nullable=False),
    Column("times", BIG, nullable=False),
    Column("command", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("on_behalf", Text),
    Column("code", Text, nullable=False),
    Column("rule", Text),  # its place in the rulebook, or a word
    Column("previous", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Index(None, "account", "sequence"),
)

# One row: the newest refusal.
refusals_head = Table(
    "refusals_head",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="one_row"), primary_key=True, autoincrement=False),
    Column("sequence", BIG, nullable=False),
    Column("chain", LargeBinary, nullable=False),
)

# What people wrote and who they are: beside the history, outside its chain, so that it can be erased.
details = Table(
    "details",
    metadata,
    Column("account", NAME, ForeignKey("accounts.id"), primary_key=True),
    Column("version", BIG, ForeignKey("history.version"), primary_key=True, autoincrement=False),
    Column("name", NAME, primary_key=True),
    Column("text", Text, nullable=False),
)

# Each account's newest change as it travels (feed.StatusChange). Workers read this table by plain sqlite3.
gate = Table(
    "gate",
    metadata,
    Column("version", BIG, primary_key=True, autoincrement=False),
    Column("account", NAME, ForeignKey("accounts.id"), nullable=False),
    Column("change", LargeBinary, nullable=False),
    Index(None, "account", unique=True),
)

# What a change owes to others: `kind` is "change" (for the relay) or an effect's name. Deleted once delivered. The
# index holds effects alone, so that a flip without one does not write to it; whoever uses it must ask for EFFECTS.
EFFECTS: Final = text("outbox.kind <> 'change'")
outbox = Table(
    "outbox",
    metadata,
    Column("id", BIG, primary_key=True, autoincrement=False),  # version * OWED_MAX + place: grows, never given twice
    Column("account", NAME, ForeignKey("accounts.id"), nullable=False),
    Column("at_us", BIG, nullable=False),
    Column("kind", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    # Of effects alone: they are found beside however many changes wait for a relay, and a change pays nothing for it.
    Index("ix_outbox_effects", "id", sqlite_where=text("kind <> 'change'"), postgresql_where=text("kind <> 'change'")),
)
OWED_MAX: Final = 256
"""Rows that one change may owe; a rulebook's command has a handful of effects."""

# Rulebooks as accounts were created under them: an edit of a file moves no account.
rulebooks = Table(
    "rulebooks",
    metadata,
    Column("digest", NAME, primary_key=True),
    Column("name", Text, nullable=False),
    Column("text", Text, nullable=False),
)

# One row: who may grant leases, and up to which version all workers enforce (`lead.py`).
lead = Table(
    "lead",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="one_row"), primary_key=True, autoincrement=False),
    Column("term", BIG, nullable=False),
    Column("holder", Text, nullable=False),
    Column("boot_id", Text, nullable=False),
    Column("until_boot_ns", BIG, nullable=False),
    Column("enforced_version", BIG, nullable=False),
    Column("enforced_term", BIG, nullable=False),
    Column("beat", BIG, nullable=False),  # grows with every renewal: who watches it needs no clock of the holder's
    Column("enforced_workers", BIG, nullable=False),  # how many workers enforce `enforced_version`
)

# How far the relay has carried changes to each place that keeps no count of its own.
relayed = Table(
    "relayed",
    metadata,
    Column("place", NAME, primary_key=True),
    Column("version", BIG, nullable=False),
)

# Bearer tokens, hashed: whoever reads this table can act as nobody. A row is never deleted, so that a history that
# names a token can always be explained. `account` is null where the token's role acts for all accounts.
tokens = Table(
    "tokens",
    metadata,
    Column("id", NAME, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("role", Text, nullable=False),
    Column("account", NAME, ForeignKey("accounts.id")),
    Column("person", NAME),
    Column("permissions", Text, nullable=False),  # JSON list of names
    Column("created_at_us", BIG, nullable=False),
    Column("expires_at_us", BIG),
    Column("revoked_at_us", BIG),
    Column("used_at_us", BIG),
    Index(None, "digest", unique=True),
)

# Who belongs to an account. A row stays, so that an id in the history can be explained; `email` can be erased.
people = Table(
    "people",
    metadata,
    Column("id", NAME, primary_key=True),
    Column("account", NAME, ForeignKey("accounts.id"), nullable=False),
    Column("role", Text, nullable=False),
    Column("permissions", Text, nullable=False),  # JSON list of names
    Column("email", Text),
    Column("created_at_us", BIG, nullable=False),
    Column("removed_at_us", BIG),
    Index(None, "account"),
)

# At most one row: the leading service's last heartbeat, and what is believed of the time (`gating/heartbeat.py`).
heartbeat = Table(
    "heartbeat",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="one_row"), primary_key=True, autoincrement=False),
    Column("wall_us", BIG, nullable=False),
    Column("boot_id", Text, nullable=False),
    Column("boot_ns", BIG, nullable=False),
    Column("least_us", BIG, nullable=False),
    Column("steady_us", BIG, nullable=False),
)

# When each account's newest kept hit was received, as the consumers report it; a deadline on activity asks when it
# comes, so that no hit and no report touches `accounts`. No foreign key: a consumer may not read what it would check.
activity = Table(
    "activity",
    metadata,
    Column("account", NAME, primary_key=True),
    Column("at_us", BIG, nullable=False),
)

# Who reports activity. All hits received before `until_us` are in `activity`.
activity_reporters = Table(
    "activity_reporters",
    metadata,
    Column("place", NAME, primary_key=True),
    Column("until_us", BIG, nullable=False),
    Column("seen_at_us", BIG, nullable=False),
)

# What changes answered that were asked for under a key of the caller's, so that asking again changes nothing
# (`idempotency.py`). A row goes after a day, or with its account. scope: the token's id.
idempotency = Table(
    "idempotency",
    metadata,
    Column("scope", NAME, primary_key=True),
    Column("key", NAME, primary_key=True),
    Column("request", LargeBinary, nullable=False),  # SHA-256 of what was asked
    Column("account", NAME, nullable=False),
    Column("at_us", BIG, nullable=False),
    Column("answer", Text, nullable=False),  # the change's document as JSON
    Index(None, "at_us"),
    Index(None, "account"),
)
