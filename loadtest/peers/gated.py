"""What a gated peer reads and writes: a table of write keys, and a file with a line for each hit that it kept."""

from collections.abc import Sequence
from pathlib import Path


def write_table(path: Path, keys: Sequence[str]) -> Path:
    """Write the gate's table: a line holds key, account and verdict; every key's hits are kept."""
    path.write_text("".join(f"{key} account-{at} ACCEPT\n" for at, key in enumerate(keys)))
    return path


def count_lines(path: Path) -> int:
    """Count a file's lines, a block at a time."""
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
