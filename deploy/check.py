"""Check: one thing that `pixelgate doctor` looked at. Pure values, shared by its examinations."""

from dataclasses import dataclass
from typing import Final

OK: Final = "ok"
WARN: Final = "warn"
FAIL: Final = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. advice: what to do about it; empty where all is well."""

    name: str
    result: str
    found: str
    advice: str = ""
