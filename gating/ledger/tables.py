"""The ledger's tables, as SQLAlchemy Core sees them; `migrations/` makes them.

One change of an account is one row of `history` under one version, and the same transaction moves what is read fast:
`accounts`, `keys` and `gate` are projections of the history (`projections.py` checks them), `outbox` is what is still
to be told or done. Portable SQL alone: PostgreSQL takes the same tables. Times are microseconds UTC (`*_us`).
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

REVISIONS: Final = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0010")
"""Every migration, oldest first; this release reads and writes the last one's schema."""

BIG: Final = BigInteger().with_variant(Integer, "sqlite")
"""64 bits on either engine. SQLite's INTEGER holds them too, and as a primary key is the row's own place: pages by
version are then read in the order they lie on disk."""

NAME: Final = Text().with_variant(Text(collation="C"), "postgresql")
"""An id or key: ordered by its bytes on either engine."""

# Names for every constraint, so that a later migration can name what it drops on either engine.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

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

# What a change owes to others: `kind` is "change" (for the relay) or an effect's name. Deleted once delivered.
outbox = Table(
    "outbox",
    metadata,
    Column("id", BIG, primary_key=True, autoincrement=False),  # version * OWED_MAX + place: grows, never given twice
    Column("account", NAME, ForeignKey("accounts.id"), nullable=False),
    Column("at_us", BIG, nullable=False),
    Column("kind", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
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

# What payment providers told us, as they signed it (`events.py`). A row goes once its term is over, or with its
# account: bodies hold personal data. `account` has no foreign key: a provider may name one that is not there.
webhook_events = Table(
    "webhook_events",
    metadata,
    Column("sequence", BIG, primary_key=True, autoincrement=False),  # in the order they were stored
    Column("provider", NAME, nullable=False),
    Column("event_id", NAME, nullable=False),
    Column("type", Text, nullable=False),
    Column("created_at_us", BIG, nullable=False),  # by the provider's clock
    Column("received_at_us", BIG, nullable=False),
    Column("state", NAME, nullable=False),
    Column("account", NAME),
    Column("customer", NAME),
    Column("why", Text),
    Column("version", BIG),  # the account's change that came of it
    Column("tries", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),  # empty once erased
    Index(None, "provider", "event_id", unique=True),
    Index(None, "state", "sequence"),
    Index(None, "account"),
)

# Whose a provider's customer is: given by an operator, or learned from an event that named both.
webhook_customers = Table(
    "webhook_customers",
    metadata,
    Column("provider", NAME, primary_key=True),
    Column("customer", NAME, primary_key=True),
    Column("account", NAME, ForeignKey("accounts.id"), nullable=False),
    Column("at_us", BIG, nullable=False),
    Index(None, "account"),
)

# What is known of each subscription, so that nothing old moves its account back (`webhooks/order.py`, as JSON).
webhook_subscriptions = Table(
    "webhook_subscriptions",
    metadata,
    Column("account", NAME, ForeignKey("accounts.id"), primary_key=True),
    Column("provider", NAME, primary_key=True),
    Column("subscription", NAME, primary_key=True),
    Column("known", Text, nullable=False),
    Column("moved_at_us", BIG, nullable=False),  # when billing last moved the account by it; 0: never
)

# How far the purge of a deleted account is, a row a store (`purges.py`); gone once its receipt is given.
purges = Table(
    "purges",
    metadata,
    Column("account", NAME, ForeignKey("accounts.id"), primary_key=True),
    Column("store", NAME, primary_key=True),
    Column("found", BIG, nullable=False),  # what of the account it held at the most
    Column("note", Text, nullable=False),  # JSON: what whoever goes on must know, such as where a log ended
    Column("done_at_us", BIG),  # since when nothing of the account is in it
)

# Who holds files that may hold events: each clears its own, and a receipt waits for all of them.
purge_places = Table(
    "purge_places",
    metadata,
    Column("place", NAME, primary_key=True),
    Column("seen_at_us", BIG, nullable=False),
)

# What was purged where, once nothing is left; one a deleted account, for ever.
receipts = Table(
    "receipts",
    metadata,
    Column("account", NAME, ForeignKey("accounts.id"), primary_key=True),
    Column("at_us", BIG, nullable=False),
    Column("document", Text, nullable=False),
)

# Payments, in the fewest fields the law asks for; they outlive their account until `keep_until_us` (`billing.py`).
billing_records = Table(
    "billing_records",
    metadata,
    Column("account", NAME, ForeignKey("accounts.id"), primary_key=True),
    Column("transaction_id", NAME, primary_key=True),
    Column("at_us", BIG, nullable=False),
    Column("amount", BIG, nullable=False),  # in the currency's smallest unit
    Column("currency", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("keep_until_us", BIG, nullable=False),
    Index(None, "keep_until_us"),
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

# Effects' tries (`effects.py`): a row only where one failed, or waits for its moment (tries 0). No flip writes here.
effect_tries = Table(
    "effect_tries",
    metadata,
    Column("id", BIG, primary_key=True, autoincrement=False),  # the outbox's
    Column("tries", Integer, nullable=False),
    Column("first_at_us", BIG, nullable=False),
    Column("next_at_us", BIG, nullable=False),
    Column("last_error", Text),
)

# Effects that were given up: moved here from the outbox, and back by an operator, under the same id.
effect_dead = Table(
    "effect_dead",
    metadata,
    Column("id", BIG, primary_key=True, autoincrement=False),
    Column("account", NAME, ForeignKey("accounts.id"), nullable=False),
    Column("at_us", BIG, nullable=False),
    Column("kind", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("last_error", Text),
    Column("died_at_us", BIG, nullable=False),
)

# What only a person can do, by when; kept once done.
effect_tasks = Table(
    "effect_tasks",
    metadata,
    Column("id", BIG, primary_key=True, autoincrement=False),
    Column("account", NAME, ForeignKey("accounts.id"), nullable=False),
    Column("at_us", BIG, nullable=False),
    Column("kind", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("due_at_us", BIG, nullable=False),
    Column("done_at_us", BIG),
    Column("done_by", Text),
)

# Sessions of an account's people that began before this moment count no longer; API tokens are none.
sessions_ended = Table(
    "sessions_ended",
    metadata,
    Column("account", NAME, ForeignKey("accounts.id"), primary_key=True),
    Column("sessions_ended_at_us", BIG, nullable=False),
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
