"""What is made before a run: accounts and their keys, and each process's part of the whole."""

import time
from typing import Any
from urllib.parse import urlsplit

from loadtest.shapes.admin import Admin, AdminFailed
from loadtest.shapes.catalogue import PLANS
from loadtest.shapes.load import Part
from loadtest.shapes.mixed import operators
from loadtest.shapes.options import Chosen


class CannotBegin(Exception):
    """The run cannot begin; the message says what it lacks."""


def parts(chosen: Chosen, target: str, processes: int) -> list[Part]:
    """Make accounts where they are needed, and divide them. Raises CannotBegin.

    target: the collector's URL. Accounts to flip are divided, so that no two processes flip one; keys go to all.
    """
    plan = PLANS[chosen.shape]
    try:
        keys = chosen.place.keys()
        storm: list[list[Any]] = []
        if plan.flips:
            each = -(-operators(plan, chosen.users, processes) // processes)
            storm = make(chosen, each * processes, "storm")
        elif plan.many_keys and not keys:
            raise CannotBegin(f"{plan.name} needs --write-keys FILE: many accounts' keys, one a line")
        elif not keys:
            keys = [key for _, key, _ in make(chosen, chosen.accounts, "site")]
    except AdminFailed as error:
        raise CannotBegin(f"accounts cannot be made: {error}; or give --write-keys") from error
    except (OSError, ValueError) as error:
        raise CannotBegin(str(error)) from error
    interval = plan.interval_seconds(chosen.users, chosen.rate)
    if plan.flips:
        visitors = max(1, chosen.users - operators(plan, chosen.users, processes))
        interval = visitors / chosen.rate
    place = chosen.place
    data = str(place.data) if place.data else None
    return [
        Part(
            at, plan.name, chosen.seed, interval, urlsplit(target).netloc, keys, storm[at::processes], place.admin,
            place.token, data,
        )
        for at in range(processes)
    ]  # fmt: skip


def make(chosen: Chosen, count: int, kind: str) -> list[list[Any]]:
    """Open accounts of this run; when the last one is enforced, all are. Returns id, write key and version of each."""
    run = f"loadtest-{time.time_ns() // 1_000_000:x}"
    admin = Admin(chosen.place.admin, chosen.place.token, chosen.place.data)
    try:
        made: list[list[Any]] = []
        for at in range(count):
            account = f"{run}-{kind}-{at}"
            made.append([account, *admin.create(account, wait=at == count - 1)])
        return made
    finally:
        admin.close()
