"""Who may carry out a row of a rulebook, and whether a request brings what the row needs.

The part of `lifecycle.decide` that looks at people and values; pure. Needs are checked all at once, so that a refusal
names everything that is missing.
"""

from typing import Final

from gating import refusal
from gating.account import Account, Request
from gating.errors import InputInvalid
from gating.rulebook import PERIOD_END, Asker, Grant, Policy, Row
from gating.status import Role
from gating.times import parse_rfc3339

ON_FILE: Final = ("company", "email")
"""Needs that must name what the ledger holds, whatever the case of the letters."""

SETTABLE: Final = ("plan", "payment", "company", "email", "source", "feedback", "note", "reply", PERIOD_END)
"""What `--set NAME=VALUE` may name."""

NEEDS: Final = ("reason", "confirm", "answered", *SETTABLE)
"""Every word a rulebook's `needs` may hold, with a question mark where it is optional."""

VALUE_CHARACTERS_MAX: Final = 10_000  # feedback is a person's text; more than this is no longer one


def may(row: Row, request: Request) -> bool:
    """Tell whether the request's role may carry the row out; an operator may carry out every one."""
    return request.role is Role.OPERATOR or any(_is(grant.by, request.role, request.permissions) for grant in row.by)


def checked_values(policy: Policy, account: Account, row: Row, request: Request, index: int) -> dict[str, str]:
    """The request's values, `period_end` as microseconds UTC, once everything the row needs is there.

    Raises NeedsMissing naming all that is missing or unknown, InputInvalid for a value that does not read.
    """
    missing = _missing_request(row, request)
    if not (missing or row.needs or request.values):
        return {}  # the likely case first
    known = {need.name for need in row.needs}
    for need in row.needs:
        asked = _unmet(policy, row.command, need.name, request, answered=account.layers[index].answered)
        if asked is not None and (asked.given or not need.optional):
            missing.append(asked.text)
    if missing:
        raise refusal.needs_missing(row, missing)
    if unknown := sorted(set(request.values) - known):
        raise refusal.values_unknown(row, unknown)
    return {name: _read(name, value) for name, value in request.values.items()}


def _is(asker: Asker, role: Role, permissions: frozenset[str]) -> bool:
    return asker.role is role and (asker.permission is None or asker.permission in permissions)


def _missing_request(row: Row, request: Request) -> list[str]:
    """What to ask for where nobody's request is recorded though the row wants one.

    Whoever is named without a `for` needs none. An operator whom the row does not name stands in for those it does, on
    the stricter of their terms.
    """
    wanting = [grant for grant in row.by if grant.wants_request]
    if not wanting:
        return []
    own = [grant for grant in row.by if _is(grant.by, request.role, request.permissions)]
    if any(not grant.wants_request for grant in own):
        return []
    wanting = own or wanting
    if any(_asked_by(grant, request.on_behalf) for grant in wanting):
        return []
    askers = list(dict.fromkeys("PERSON" if grant.anyone else str(grant.on_behalf) for grant in wanting))
    return [" or ".join(f"--for {asker}" for asker in askers)]


def _asked_by(grant: Grant, on_behalf: str | None) -> bool:
    if not on_behalf:
        return False
    if grant.on_behalf is None:
        return grant.anyone
    role, _, permission = on_behalf.partition(":")[0].partition("+")
    wanted = grant.on_behalf
    return role.casefold() == wanted.role.value and wanted.permission in (None, permission.casefold())


def _unmet(policy: Policy, command: str, name: str, request: Request, *, answered: bool) -> refusal.Asked | None:
    """What to ask for, where the request does not meet the need; None where it does."""
    if name == "reason":
        codes = policy.reason_codes(command)
        if request.reason in codes:
            return None
        return refusal.Asked(f"--reason CODE: one of {', '.join(codes)}", given=bool(request.reason))
    if name == "confirm":
        return None if request.confirm else refusal.Asked("--confirm")
    if name == "answered":
        return None if answered else refusal.Asked("an answer to the account's request, recorded")
    value = request.values.get(name, "").strip()
    if not value:
        return refusal.Asked(f"--set {name}={'TIME' if name == PERIOD_END else '...'}")
    if name in ON_FILE and value.casefold() != request.on_file.get(name, "").strip().casefold():
        return refusal.Asked(f"--set {name}=... as it is on file", given=True)
    return None


def _read(name: str, value: str) -> str:
    if len(value) > VALUE_CHARACTERS_MAX:
        raise InputInvalid(f"--set {name}=... has {len(value)} characters, {VALUE_CHARACTERS_MAX} are the most")
    if name != PERIOD_END:
        return value.strip()
    return str(parse_rfc3339(value))
