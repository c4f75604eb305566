"""Check a file that `pixelgate history export` wrote, with the standard library alone.

python verify_history.py FILE [HEAD]: HEAD is a digest kept earlier, which the chain must contain. Exit 1 for a fault.
"""

import hashlib
import json
import sys
from collections.abc import Iterable

# The digest covers values in this order, not their names: a file with two names exchanged would say something else.
NAMES = ["version", "account", "at_us", "command", "actor", "role", "on_behalf", "from_status", "to_status", "status"]
NAMES += ["verdict", "access", "until_us", "then_verdict", "effects", "keys", "state_digest", "previous", "digest"]


def check(lines: Iterable[str], head: str | None = None) -> str | None:
    """The first fault, or None."""
    before, seen = None, head is None
    for line in lines:
        row = json.loads(line)
        if list(row) != NAMES:
            return f"a row has other fields than {', '.join(NAMES)}, or in another order"
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
