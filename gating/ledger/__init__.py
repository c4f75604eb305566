"""The account ledger: who stands where, since when, by whose hand; the one truth that all else can be rebuilt from.

ledger, transaction   the way in: reads, and changes
entry                 one change on its way in
book                  what a transaction has loaded and will write
timeline              what held for a key at an instant (pure): settlement's judge
keys                  write keys (pure): making, rotating, which of them travel
history, projections  whether everything is still as it was recorded
lead                  who may grant leases
events                what payment providers told: stored, waiting, settled, erased
rows, tables, schema  the values handed out, the tables, and how a database gets them (`migrations/`)
place, retry, wake    which ledger a data directory has; a conflict met by trying again; what others committed
store                 what is asked of an engine
engines               which one a URL asks for: sqlite (a file), or postgres (a server; conninfo, postgres_errors)
"""

from gating.ledger.keys import KeyEdit, new_write_key
from gating.ledger.lead import LeadRow, Term
from gating.ledger.ledger import Ledger
from gating.ledger.place import ledger_url
from gating.ledger.rows import CHANGE, SYSTEM, AccountRow, Fault, Head, HistoryRow, KeyRow, OutboxRow, Who
from gating.ledger.sqlite import sqlite_url
from gating.ledger.store import Channel
from gating.ledger.timeline import Held, Timeline, standing_at
from gating.ledger.transaction import Rotation, Transaction

__all__ = [
    "CHANGE",
    "SYSTEM",
    "AccountRow",
    "Channel",
    "Fault",
    "Head",
    "Held",
    "HistoryRow",
    "KeyEdit",
    "KeyRow",
    "LeadRow",
    "Ledger",
    "OutboxRow",
    "Rotation",
    "Term",
    "Timeline",
    "Transaction",
    "Who",
    "ledger_url",
    "new_write_key",
    "sqlite_url",
    "standing_at",
]
