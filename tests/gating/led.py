"""A service over any ledger, led in the test's own process by datagrams that reach no worker: for what a service does
with its ledger, whichever engine that is."""

import contextlib
from dataclasses import dataclass

from gating.clock import Clock, boot_ns
from gating.datadir import DataDirectory
from gating.ledger import Ledger
from gating.local_lead import LocalLead
from gating.service import Service

TERM_NS = 3600 * 10**9


@dataclass
class Led:
    ledger: Ledger
    lead: LocalLead
    service: Service


@contextlib.contextmanager
def led(directory: DataDirectory, url: str):
    """Needs a running loop."""
    with contextlib.ExitStack() as closing:
        ledger = closing.enter_context(contextlib.closing(Ledger.open(url)))
        ledger.take_term("tests", boot_ns(), TERM_NS, "this boot")
        head, clock = ledger.head(), Clock()
        lead = LocalLead(
            directory.feed, epoch=head.epoch, head=head.version, clock=clock, may_grant=lambda: True
        )  # fmt: skip
        closing.enter_context(lead)
        yield Led(ledger, lead, closing.enter_context(contextlib.closing(Service(ledger, lead, clock))))
