"""A data directory with a real ledger and a real journal in it, and what a test does to both."""

import time
from pathlib import Path

from collector.journal import Journal, Record, encode_record
from consumers.config import ConsumerSettings
from consumers.service import Service
from gating import lifecycle
from gating.account import Request
from gating.datadir import DataDirectory
from gating.ledger import SYSTEM, Ledger, Who, ledger_url
from gating.policy import load_rulebook
from gating.status import SECOND_US, Role, Verdict

KEY = "K3vTq8ZrW2mXb6NcL9dYp4"
OPERATOR = Who("ops-1", Role.OPERATOR)


def now_us() -> int:
    return time.time_ns() // 1000


class House:
    """One data directory and what a test does to it."""

    def __init__(self, root: Path, database_url: str | None = None, clickhouse_url: str | None = None) -> None:
        self.data, self.database_url, self.clickhouse_url = DataDirectory.open(root), database_url, clickhouse_url
        self.ledger = Ledger.open(ledger_url(self.data, database_url))
        self.policy = load_rulebook("default")
        self.journal = Journal.create(self.data.journals)

    def create(self, account: str = "shop", key: str = KEY, at_us: int | None = None) -> int:
        at_us = now_us() - 60 * SECOND_US if at_us is None else at_us
        with self.ledger.begin() as transaction:
            decision = lifecycle.open_account(self.policy, account, None, at_us)
            standing = lifecycle.standing(self.policy, decision.account)
            return transaction.create_account(decision, standing, OPERATOR, write_key=key).version

    def flip(self, command: str, account: str = "shop", at_us: int | None = None) -> int:
        """Carry out one command of the rulebook `default`; returns the change's version."""
        at_us = now_us() if at_us is None else at_us
        with self.ledger.begin() as transaction:
            row = transaction.account(account)
            request = Request(command, Role.OPERATOR, "ops-1", on_behalf="owner", reason="other", confirm=True)
            for decision in lifecycle.carry_out(self.policy, row.account, request, at_us):
                standing = lifecycle.standing(self.policy, decision.account)
                change = transaction.record(decision, standing, OPERATOR)
            return change.version

    def hit(
        self,
        *queries: str,
        account: str = "shop",
        key: str = KEY,
        verdict: Verdict = Verdict.ACCEPT,
        verified: bool = True,
        version: int = 1,
        at_us: int | None = None,
        journal: Journal | None = None,
    ) -> int:
        """Journal one tick with a hit a query; returns its first sequence."""
        records = [
            encode_record(Record(0, 0, verdict, verified, version, account, "203.0.113.9", head(key, query), None))
            for query in queries or ("",)
        ]
        at_us = now_us() if at_us is None else at_us
        return (journal or self.journal).append(at_us, records, len(records))

    def service(self) -> Service:
        settings = ConsumerSettings(
            data=self.data.root, database_url=self.database_url, clickhouse_url=self.clickhouse_url
        )
        return Service(self.data, settings)

    def lapse(self, account: str, at_us: int) -> None:
        """Record every deadline that has come by `at_us`."""
        with self.ledger.begin() as transaction:
            for decision in lifecycle.due(self.policy, transaction.account(account).account, at_us):
                transaction.record(decision, lifecycle.standing(self.policy, decision.account), SYSTEM)

    def close(self) -> None:
        self.journal.close()
        self.ledger.close()


def head(key: str, query: str) -> bytes:
    return f"GET /p/{key}.gif?{query} HTTP/1.1\r\nHost: c.test\r\nUser-Agent: UA\r\n\r\n".encode()
