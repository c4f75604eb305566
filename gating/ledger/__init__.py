"""The account ledger: who stands where, since when, by whose hand; the one truth that all else can be rebuilt from.

ledger, transaction   the way in: reads, and changes (opened: what a transaction holds and reads)
entry                 one change on its way in
book                  what a transaction has loaded and will write
timeline              what held for a key at an instant (pure): settlement's judge
keys, given_key       write keys (pure): making, rotating, naming, which of them travel; those that come from outside
key_rows              whose a key found in the wild is
purges, billing       what is owed to deleted accounts, their receipts; payments, which outlive them for a term
chain                 rows that hold the digest of the one before
history, projections  whether everything is still as it was recorded
refusals              what was refused, chained as the history is
people, tokens        who belongs to an account; what people and programs sign in with
idempotency           what was answered under a caller's key, so that asking again changes nothing
pages                 lists in pages, for whoever must not read them whole
lead, lead_rows       who may grant leases
beat, activity        the leader's heartbeat; when accounts were last active, as the consumers report it
relayed               how far changes were carried to places that keep no count
events                what payment providers told: stored, waiting, settled, erased
effects               what decisions owe: tries, dead letters, tasks for people
rows, schema          the values handed out; how a database gets the tables (`migrations/`)
tables, tables_owed   the tables (columns: what they are made with)
place, retry, wake    which ledger a data directory has; a conflict met by trying again; what others committed
store                 what is asked of an engine
engines               which one a URL asks for: sqlite (a file), or postgres (a server; conninfo, postgres_errors)
"""

from gating.ledger.keys import KeyEdit, Rotation, new_write_key
from gating.ledger.lead import LeadRow, Term
from gating.ledger.ledger import Ledger
from gating.ledger.people import PersonRow
from gating.ledger.place import ledger_url
from gating.ledger.purges import Noted, Owed, Purges
from gating.ledger.rows import (
    CHANGE,
    SYSTEM,
    AccountRow,
    Come,
    Fault,
    Head,
    HistoryRow,
    KeyRow,
    OutboxRow,
    Who,
    no_account,
)
from gating.ledger.sqlite import sqlite_url
from gating.ledger.store import Channel
from gating.ledger.timeline import Held, Timeline, standing_at
from gating.ledger.tokens import TokenRow
from gating.ledger.transaction import Transaction

__all__ = [
    "CHANGE",
    "SYSTEM",
    "AccountRow",
    "Channel",
    "Come",
    "Fault",
    "Head",
    "Held",
    "HistoryRow",
    "KeyEdit",
    "KeyRow",
    "LeadRow",
    "Ledger",
    "Noted",
    "OutboxRow",
    "Owed",
    "PersonRow",
    "Purges",
    "Rotation",
    "Term",
    "Timeline",
    "TokenRow",
    "Transaction",
    "Who",
    "ledger_url",
    "new_write_key",
    "no_account",
    "sqlite_url",
    "standing_at",
]
