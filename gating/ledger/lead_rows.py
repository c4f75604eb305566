"""LeadRows: a ledger's word on who leads, each method a transaction of its own; what elections use of `Ledger`."""

from sqlalchemy import Connection

from gating.clock import Reading
from gating.ledger import beat
from gating.ledger import lead as lead_row
from gating.ledger.lead import LeadRow, Term
from gating.ledger.retry import noted
from gating.ledger.store import Channel, Store


class LeadRows:
    """Of one ledger. Any method may raise Unreachable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def lead(self) -> LeadRow:
        """Who leads, and up to which version all workers enforce."""
        with self._store.reading() as connection:
            return lead_row.read_lead(connection)

    def take_term(self, holder: str, now_boot_ns: int, length_ns: int, boot_id: str) -> Term | None:
        """Begin a new term, or None while another holder's runs. Times are CLOCK_BOOTTIME's, of boot `boot_id`."""
        return noted(
            self._store, lambda connection: lead_row.take_term(connection, holder, now_boot_ns, length_ns, boot_id)
        )

    def succeed(self, seen: LeadRow, holder: str) -> int | None:
        """Begin the term after the one that was `seen`; its number, or None where that one has moved since."""
        return noted(self._store, lambda connection: lead_row.succeed(connection, seen, holder))

    def renew_term(self, term: int, until_boot_ns: int, reading: Reading | None = None) -> bool:
        """Move the term's end, never back; False where a newer term has begun: stop granting.

        reading: the leader's clocks, which become the heartbeat in the same transaction: no flip waits for one more.
        """

        def renew(connection: Connection) -> bool:
            renewed = lead_row.renew_term(connection, term, until_boot_ns)
            if renewed and reading is not None:
                beat.store(connection, reading)
            return renewed

        return noted(self._store, renew)

    def release_term(self, term: int) -> bool:
        """End the term now; False where a newer one has begun."""
        return noted(self._store, lambda connection: lead_row.release_term(connection, term))

    def record_enforced(self, term: int, version: int, workers: int = 0) -> bool:
        """Note that all `workers` enforce `version`; False, and nothing noted, where a newer term has begun."""

        def record(connection: Connection) -> bool:
            recorded = lead_row.record_enforced(connection, term, version, workers)
            if recorded:
                self._store.tell(connection, Channel.ENFORCED, str(version))
            return recorded

        return noted(self._store, record)
