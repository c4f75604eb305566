"""Workers that were never started: what they would have published."""

from collector.metrics import Published

SECOND_US = 1_000_000


def published(
    journal: str = "a", *, pid: int = 1, at_us: int = SECOND_US, clean: bool = False, **outcomes: int
) -> Published:
    return Published(
        journal=journal,
        pid=pid,
        worker=0,
        started_us=0,
        published_us=at_us,
        clean=clean,
        outcomes=outcomes,
        samples=[],
        hits=sum(outcomes.values()),
        connections_refused=0,
        connections=0,
        version=1,
        leased=True,
    )
