"""Check a file that `pixelgate history export` wrote, with the standard library alone.

python verify_history.py FILE [HEAD [SINCE]]: HEAD is a digest kept earlier, which the chain must contain. SINCE: what
`--since` was, where only later rows were exported. FILE holds the history, or the refusals (`--refusals`): the fields
tell which. Exit 1 for a fault.
"""

import hashlib
import json
import sys
from collections.abc import Iterable

# The digest covers values in this order, not their names: a file with two names exchanged would say something else.
HISTORY = ["version", "account", "at_us", "command", "actor", "role", "on_behalf", "from_status", "to_status", "status"]
HISTORY += ["verdict", "access", "until_us", "then_verdict", "effects", "keys", "state_digest", "previous", "digest"]
REFUSALS = ["sequence", "account", "version", "at_us", "until_us", "times", "command", "actor", "role", "on_behalf"]
REFUSALS += ["code", "rule", "previous", "digest"]


def check(lines: Iterable[str], head: str | None = None, since: int = 0) -> str | None:
    """The first fault, or None."""
    before, seen, names = (since, "00" * 32 if since == 0 else None), head is None, None
    for line in lines:
        row = json.loads(line)
        names = names or (REFUSALS if "sequence" in row else HISTORY)
        if list(row) != names:
            return f"a row has other fields than {', '.join(names)}, or in another order"
        number = row[names[0]]
        where = f"row {number} (account {row['account']})"
        values = [value for name, value in row.items() if name not in ("previous", "digest")]
        text = json.dumps(values, separators=(",", ":"), ensure_ascii=False).encode()
        if hashlib.sha256(bytes.fromhex(row["previous"]) + text).hexdigest() != row["digest"]:
            return f"{where} was altered"
        if number != before[0] + 1 or before[1] not in (None, row["previous"]):
            return f"{where} does not follow row {before[0]}" if before[0] else f"{where} is not the first"
        before, seen = (number, row["digest"]), seen or row["digest"] == head
    return None if seen else "no row has the digest given"


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        fault = check(file, *sys.argv[2:3], *map(int, sys.argv[3:4]))
    print(fault or "ok")
    sys.exit(1 if fault else 0)
