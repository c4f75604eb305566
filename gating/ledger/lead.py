"""The lead's row: which gating service may grant leases, until when, and up to which version all workers enforce.

A term is a number that only grows; whoever holds the newest one leads. Its end is a reading of CLOCK_BOOTTIME, which
means something on one host and within one boot alone, as a SQLite file does. Where services of several hosts share a
ledger, none can read another's clock: a challenger watches `beat`, which every renewal moves, and succeeds a holder
whose beat has stood still for longer than a term by the challenger's own clock. The holder stops granting well before
the end; how long before, and what a new leader waits for, is `gating/lead.py`'s.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, case, select, update

from gating.ledger.tables import lead


@dataclass(frozen=True, slots=True)
class Term:
    """One service's time as leader, up to `until_boot_ns` by this boot's CLOCK_BOOTTIME."""

    number: int
    holder: str
    until_boot_ns: int


@dataclass(frozen=True, slots=True)
class LeadRow:
    """The row as it stands. enforced_version: all workers enforce it, as the leader of `enforced_term` saw."""

    term: int
    holder: str
    boot_id: str
    until_boot_ns: int
    enforced_version: int
    enforced_term: int
    beat: int
    enforced_workers: int


def read_lead(connection: Connection) -> LeadRow:
    """The row as it stands."""
    row = connection.execute(select(lead)).one()
    return LeadRow(*(getattr(row, name) for name in LeadRow.__slots__))


def take_term(connection: Connection, holder: str, now_boot_ns: int, length_ns: int, boot_id: str) -> Term | None:
    """Begin a new term unless another holder's still runs; inside a write transaction.

    A term of another boot is over: no process lives through one.
    """
    row = read_lead(connection)
    runs = row.boot_id == boot_id and now_boot_ns < row.until_boot_ns
    if runs and row.holder != holder:
        return None
    term = Term(row.term + 1, holder, now_boot_ns + length_ns)
    values = {
        "term": term.number, "holder": holder, "boot_id": boot_id, "until_boot_ns": term.until_boot_ns,
        "beat": lead.c.beat + 1,
    }  # fmt: skip
    connection.execute(update(lead).values(values))
    return term


def succeed(connection: Connection, seen: LeadRow, holder: str) -> int | None:
    """Begin the term after the one that was `seen`, unless anybody renewed, took or released it meanwhile; its number.

    Its end means nothing to others: they watch the beat. Whoever calls this has seen the beat stand still for longer
    than a term, or the row without a holder.
    """
    unmoved = (lead.c.term == seen.term) & (lead.c.beat == seen.beat)
    values = {"term": seen.term + 1, "holder": holder, "boot_id": "", "until_boot_ns": 0, "beat": seen.beat + 1}
    changed = connection.execute(update(lead).where(unmoved).values(values))
    return seen.term + 1 if changed.rowcount == 1 else None


def renew_term(connection: Connection, term: int, until_boot_ns: int) -> bool:
    """Move the term's end, never back; False where a newer term has begun."""
    later = case((lead.c.until_boot_ns > until_boot_ns, lead.c.until_boot_ns), else_=until_boot_ns)
    changed = connection.execute(
        update(lead).where(lead.c.term == term).values(until_boot_ns=later, beat=lead.c.beat + 1)
    )
    return changed.rowcount == 1


def release_term(connection: Connection, term: int) -> bool:
    """End the term now, so that the next leader need not wait for it; False where a newer one has begun."""
    ended = {"until_boot_ns": 0, "holder": "", "beat": lead.c.beat + 1}
    changed = connection.execute(update(lead).where(lead.c.term == term).values(ended))
    return changed.rowcount == 1


def record_enforced(connection: Connection, term: int, version: int, workers: int = 0) -> bool:
    """Note that all workers enforce `version`, never less than before, and how many they are.

    False, and nothing noted, where a newer term has begun.
    """
    grows = case((lead.c.enforced_version > version, lead.c.enforced_version), else_=version)
    noted = (
        update(lead)
        .where(lead.c.term == term)
        .values(enforced_version=grows, enforced_term=term, enforced_workers=workers)
    )
    return connection.execute(noted).rowcount == 1
