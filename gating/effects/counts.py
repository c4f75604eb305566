"""Counts: what this process's tries of effects came to, by kind, as plain integers.

The runner adds; `metrics.py` reads. They only grow: what is owed now is the ledger's to tell.
"""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class EffectCounts:
    """carried: done; failures: tries that failed; untold: notices that had nobody to go to, counted as carried too."""

    carried: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    untold: Counter[str] = field(default_factory=Counter)
