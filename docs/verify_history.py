"""Check a file that `pixelgate history export` wrote, with the standard library alone.

python verify_history.py FILE [HEAD]: HEAD is a digest kept earlier, which the chain must contain. Exit 1 for a fault.
"""

import hashlib
import json
import sys
from collections.abc import Iterable


def check(lines: Iterable[str], head: str | None = None) -> str | None:
    """The first fault, or None."""
    before, seen = None, head is None
    for line in lines:
        row = json.loads(line)
        values = [value for name, value in row.items() if name not in ("previous", "digest")]
        text = json.dumps(values, separators=(",", ":"), ensure_ascii=False).encode()
        if hashlib.sha256(bytes.fromhex(row["previous"]) + text).hexdigest() != row["digest"]:
            return f"row {row['version']} was altered"
        if row["version"] == 1 and row["previous"] != "00" * 32:
            return "row 1 is not the first"
        if before and (row["version"], row["previous"]) != (before["version"] + 1, before["digest"]):
            return f"row {row['version']} does not follow row {before['version']}"
        before, seen = row, seen or row["digest"] == head
    return None if seen else "no row has the digest given"


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        fault = check(file, *sys.argv[2:3])
    print(fault or "ok")
    sys.exit(1 if fault else 0)
