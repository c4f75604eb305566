"""Workers seen from outside: what one would have published, and whether a process lives."""

from pathlib import Path

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


def alive(pid: int) -> bool:
    """A zombie that nobody has reaped yet is dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
