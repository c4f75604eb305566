"""DuckDB's file: how it is opened, what lies beside it, how it must be told a file's name. Pure."""

from pathlib import Path
from typing import Final

MEMORY_BYTES_MAX: Final = 128 * 1024**2
"""For DuckDB's buffers; what does not fit goes to a file beside the warehouse. A consumer that takes whole batches
peaked at 300 MB so (bar: 400)."""

CHECKPOINT_MB: Final = 96
"""Write-ahead log before it is folded into the file. Each fold packs the last, part-filled 122,880 rows anew: at the
engine's own 16 MB that took a third more CPU an event than here, at 96 MB hardly less but 40 MB more memory."""


def config_of(path: Path) -> dict[str, str | bool | int | float | list[str]]:
    """Bounded memory, no network, no extension but those built in."""
    return {
        "threads": 1,  # the collector's workers need the cores more
        "memory_limit": f"{MEMORY_BYTES_MAX}B",
        "checkpoint_threshold": f"{CHECKPOINT_MB}MB",
        "temp_directory": str(spill_of(path)),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "preserve_insertion_order": False,  # nobody asks for it, and keeping it buffers a batch twice
    }


def spill_of(path: Path) -> Path:
    """Where what does not fit into memory goes."""
    return path.with_name(path.name + ".tmp")


def literal(path: Path) -> str:
    """DuckDB reads file names as patterns: a data directory may be called `data[1]`."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in str(path))
