"""Doctor's look at the heartbeat: is the clock believed by which deadlines are made durable."""

from typing import Final

from deploy.check import OK, WARN, Check
from gating.clock import Clock
from gating.config import LedgerSettings
from gating.datadir import DataDirectory
from gating.heartbeat import Doubt, doubt_of
from gating.ledger import Ledger, ledger_url
from gating.status import SECOND_US

CONFIRM: Final = "`pixelgate clock confirm` if it is right; else set it right and restart the gating service"


def heartbeat(directory: DataDirectory) -> Check:
    """What the leading service noted at its last heartbeat; where none runs, what one that started now would find."""
    url = ledger_url(directory, LedgerSettings().database_url)
    if not Ledger.exists(url):
        return Check("heartbeat", OK, "none yet: no gating service has run")
    with Ledger.open_reading(url) as opened:
        beat = opened.beat.read()
    if beat is None:
        return Check("heartbeat", OK, "none yet: no gating service has run")
    if beat.doubt is not None and beat.doubt.of_note:
        return _doubted(beat.doubt, "deletions wait")
    reading = Clock().reading()
    if not directory.is_held("gating"):
        doubt = doubt_of(beat, reading)
        if doubt is not None and doubt.of_note:
            return _doubted(doubt, "a service that starts now lets deletions wait")
    ago = (reading.wall_us - beat.reading.wall_us) / SECOND_US
    return Check("heartbeat", OK, f"the clock is believed; the last one was {ago:.0f} s ago")


def _doubted(doubt: Doubt, so: str) -> Check:
    return Check("heartbeat", WARN, f"{doubt.in_words()}: {so}", CONFIRM)
