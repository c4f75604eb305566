"""Worker counters: the files in which the collector's workers tell what they counted, read as plain documents.

Written by `collector/metrics.py`, one file a worker's start, and by `collector/totals.py`, which folds the files of
workers that are gone into one. Read by `/metrics`, `verify` and the live line. Each file carries its own samples: so
gating reads them without the collector's code. Loads in every worker, so nothing heavy. Must not write.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

TOTAL: Final = "total"
"""Stem of the file that holds what was folded; a worker's is its journal's id, 32 hex digits."""

READS_MAX: Final = 20
"""Readings that a fold may spoil one after the other; folds come seconds apart."""


@dataclass(frozen=True, slots=True)
class CounterDocuments:
    """Every count once. total: what was folded, None before the first fold. unreadable: stems of files, `TOTAL` too."""

    total: dict[str, Any] | None
    workers: dict[str, dict[str, Any]]  # by the file's stem
    unreadable: list[str]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        if self.total is not None:
            yield self.total
        yield from self.workers.values()


def read_documents(directory: Path) -> CounterDocuments:
    """What stands in the directory, each count once, also while files are being folded or after a fold that was killed.

    A fold writes the total, which names what it took in, before it removes those files: so between two looks at an
    unchanged total a file that it does not name cannot have gone into it.
    """
    for _ in range(READS_MAX):
        total, broken = _total(directory)
        found = _read_workers(directory, folded(total))
        if broken:
            found.unreadable.append(TOTAL)
        after, _ = _total(directory)
        if _folds(after) == _folds(total):
            break
    return CounterDocuments(total, found.workers, sorted(found.unreadable))


def folded(total: dict[str, Any] | None) -> frozenset[str]:
    """The stems of the files that the last fold took in: they may still lie there, and count no more."""
    return frozenset(total["folded"]) if total is not None else frozenset()


def read_document(path: Path) -> dict[str, Any]:
    """One file. Raises OSError where it is gone, ValueError where it holds no document, as a power cut may leave it."""
    document = orjson.loads(path.read_bytes())
    if not isinstance(document, dict):
        raise ValueError(f"{path} holds no counters")  # noqa: TRY004  one fault to the caller: what it holds
    return document


def _read_workers(directory: Path, gone: frozenset[str]) -> CounterDocuments:
    found = CounterDocuments(None, {}, [])
    for path in directory.glob("*.json"):
        if path.stem == TOTAL or path.stem in gone:
            continue
        try:
            found.workers[path.stem] = read_document(path)
        except FileNotFoundError:
            continue  # folded just now: the second look at the total tells
        except (OSError, ValueError):
            found.unreadable.append(path.stem)
    return found


def _total(directory: Path) -> tuple[dict[str, Any] | None, bool]:
    """The total, and whether it is there and does not read."""
    try:
        total = read_document(directory / f"{TOTAL}.json")
        if not isinstance(total.get("folded"), list) or not isinstance(total.get("folds"), int):
            return None, True
        return total, False
    except FileNotFoundError:
        return None, False
    except (OSError, ValueError):
        return None, True


def _folds(total: dict[str, Any] | None) -> int:
    return int(total["folds"]) if total is not None else 0
