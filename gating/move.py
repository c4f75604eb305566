"""Move: an account goes to another version of its rulebook, or to another rulebook, explicitly. Pure.

Called by `service.py` inside its write transaction. A move changes what the statuses mean and which commands there are;
status, anchors and stored deadlines stay, unless they are to be recomputed. It does no I/O and decides nothing else.
"""

from dataclasses import replace
from typing import Final

from gating import stack
from gating.account import Account, Decision
from gating.errors import Refused
from gating.lifecycle import standing
from gating.rulebook import Policy
from gating.status import Command, Status

MOVE: Final = Command("move")
"""How a move is written in the history; no rulebook's command has that name."""


def move(policy: Policy, account: Account, now_us: int, *, recompute: bool = False) -> Decision:
    """The account under `policy` from now on; `changed=False` where it lives under that very version already.

    recompute: deadlines are counted anew as if each status had been entered under `policy` when it was. Raises Refused
    for a deleted account, and where `policy` lacks a status the account stands in or a stored deadline leads to.
    """
    now_us = max(now_us, account.changed_at_us)
    if account.status is Status.DELETED:
        raise Refused(f"move is not possible: account {account.id} is DELETED, which is final", rule="deleted")
    _check(policy, account, recompute=recompute)
    same = account.rulebook_digest == policy.digest and account.rulebook == policy.name
    after = account if same and not recompute else _under(policy, account, now_us, recompute=recompute)
    stands = standing(policy, after)
    rule = str(policy.statuses[after.status].place)
    way = (account.status, account.status)
    return Decision(after, MOVE, now_us, *way, stands.verdict, stands.access, (), after is not account, rule)


def _check(policy: Policy, account: Account, *, recompute: bool) -> None:
    for layer in account.layers:
        if layer.status not in policy.statuses:
            raise Refused(
                f"move is not possible: account {account.id} is {layer.status}, "
                f"which rulebook {policy.name} does not have",
                rule="no_such_status",
            )
        then = None if layer.deadline is None or recompute else layer.deadline.then
        if then is not None and then not in policy.statuses:
            raise Refused(
                f"move is not possible: the stored deadline of account {account.id} leads to {then}, which rulebook "
                f"{policy.name} does not have; --recompute-deadlines counts its deadlines anew",
                rule="no_such_status",
            )
    lowest = account.layers[0].status
    if policy.statuses[lowest].inherits:
        raise Refused(
            f"move is not possible: {lowest} needs something beneath it in rulebook {policy.name}, and in account "
            f"{account.id} nothing is",
            rule="nothing_beneath",
        )


def _under(policy: Policy, account: Account, now_us: int, *, recompute: bool) -> Account:
    layers = tuple(replace(layer, inherits=policy.statuses[layer.status].inherits) for layer in account.layers)
    moved = replace(
        account, rulebook=policy.name, rulebook_digest=policy.digest, layers=layers, changed_at_us=now_us,
        last_command=MOVE,
    )  # fmt: skip
    return stack.recomputed(policy, moved, now_us) if recompute else moved
