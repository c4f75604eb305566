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


def jump(clock: Clock, by_us: int) -> None:
    """The host's clock was set while no service ran: this one stands as one that started now would."""
    wall_ns = clock._wall_ns
    clock._wall_ns = lambda: wall_ns() + by_us * 1000
    clock._offset_ns += by_us * 1000
