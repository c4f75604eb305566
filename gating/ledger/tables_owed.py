"""The tables of what is owed and told beside the accounts: payment providers' events, purges, payments, effects.

Reached as `tables.NAME`, like all others (`tables.py`); the same rules hold.
"""

from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, Table, Text

from gating.ledger.columns import BIG, NAME, metadata

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
