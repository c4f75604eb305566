"""What one decision costs, under every packaged rulebook: `python -m tests.decide_costs`; prints JSON.

For measuring alone. Lives are walked at random with a fixed seed; each command that was carried out is then decided
anew, many times, from where its account stood. Times are microseconds of this process's CPU clock, by the call.
"""

import json
import random
import sys
import time
from statistics import median

from gating.account import Account, Request
from gating.errors import Refused
from gating.lifecycle import carry_out, decide, due, open_account
from gating.policy import load_rulebook, rulebooks
from gating.rulebook import Policy
from gating.status import DAY_US, Role
from tests.gating.life import START_US
from tests.gating.test_lifecycle_walk import request_of, rows_of

LIVES = 200
STEPS = 20
REPEATS = 20


def asked(policy: Policy, draw: random.Random) -> list[tuple[Account, Request, int]]:
    """Commands that are carried out, each with the account it met."""
    found = []
    rows = rows_of(policy)
    for _ in range(LIVES):
        now_us = START_US
        account = open_account(policy, "shop", draw.choice([None, "free", "pro", "Premium"]), now_us).account
        for _ in range(STEPS):
            now_us += draw.randrange(3 * DAY_US)
            request = request_of(policy, draw.choice(rows), Role.OPERATOR, now_us)
            passed = due(policy, account, now_us)
            account = passed[-1].account if passed else account
            try:
                decisions = carry_out(policy, account, request, now_us)
            except Refused:
                continue
            found.append((account, request, now_us))
            account = decisions[-1].account
    return found


def cost_us(policy: Policy, account: Account, request: Request, now_us: int) -> float:
    """One decision's, the least of its repeats: the rest is what else the machine did."""
    least = float("inf")
    for _ in range(REPEATS):
        began_ns = time.perf_counter_ns()
        decide(policy, account, request, now_us)
        least = min(least, time.perf_counter_ns() - began_ns)
    return least / 1000


def main() -> int:
    found = {}
    for name in rulebooks():
        policy = load_rulebook(name)
        costs = sorted(cost_us(policy, *one) for one in asked(policy, random.Random(1)))
        found[name] = {
            "decisions": len(costs), "median_us": round(median(costs), 2),
            "p99_us": round(costs[len(costs) * 99 // 100], 2), "most_us": round(costs[-1], 2),
        }  # fmt: skip
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
