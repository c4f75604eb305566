"""The rulebook `default`, each rule of the contract a row."""

import pytest

from gating.errors import Refused
from gating.policy import load_rulebook
from gating.status import DAY_US, Access, Role, Status, Verdict
from tests.gating.life import Life

DEFAULT = load_rulebook("default")
PEOPLE = (Role.OWNER, Role.SUPPORT, Role.OPERATOR)
BILLED = (*PEOPLE, Role.SYSTEM)
"""A payment provider may tell it too."""
WAYS = {  # how a new account comes into each status
    Status.ACTIVE: [],
    Status.PAUSED: ["pause"],
    Status.SUSPENDED: ["suspend"],
    Status.CANCELED: ["cancel"],
    Status.DELETION_SCHEDULED: ["delete"],
}
MEANINGS = [
    (Status.ACTIVE, Verdict.ACCEPT, Access.FULL, None),
    (Status.PAUSED, Verdict.HIDE, Access.NONE, None),
    (Status.SUSPENDED, Verdict.DROP, Access.NONE, None),
    (Status.CANCELED, Verdict.DROP, Access.EXPORT, 30),
    (Status.DELETION_SCHEDULED, Verdict.DROP, Access.NONE, 7),
]
MOVES = [
    ("pause", Status.ACTIVE, Status.PAUSED, BILLED),
    ("resume", Status.PAUSED, Status.ACTIVE, BILLED),
    ("suspend", Status.ACTIVE, Status.SUSPENDED, (Role.OPERATOR,)),
    ("suspend", Status.PAUSED, Status.SUSPENDED, (Role.OPERATOR,)),
    ("unsuspend", Status.SUSPENDED, Status.ACTIVE, (Role.OPERATOR,)),
    ("cancel", Status.ACTIVE, Status.CANCELED, BILLED),
    ("cancel", Status.PAUSED, Status.CANCELED, BILLED),
    ("reactivate", Status.CANCELED, Status.ACTIVE, PEOPLE),
    ("subscribe", Status.CANCELED, Status.ACTIVE, BILLED),
    ("delete", Status.ACTIVE, Status.DELETION_SCHEDULED, PEOPLE),
    ("delete", Status.PAUSED, Status.DELETION_SCHEDULED, PEOPLE),
    ("delete", Status.CANCELED, Status.DELETION_SCHEDULED, PEOPLE),
    ("revoke_deletion", Status.DELETION_SCHEDULED, Status.ACTIVE, PEOPLE),
]
COMMANDS = sorted({command for command, *_ in MOVES})


def in_status(status: Status) -> Life:
    life = Life.begin(DEFAULT)
    for command in WAYS[status]:
        life.do(command, Role.OPERATOR, confirm=True)
    assert life.status is status
    return life


@pytest.mark.parametrize(("status", "verdict", "access", "days"), MEANINGS)
def test_each_status_means_what_the_contract_says(
    status: Status, verdict: Verdict, access: Access, days: int | None
) -> None:
    life = in_status(status)
    assert (life.verdict, life.standing.access) == (verdict, access)
    until_us = None if days is None else life.now_us + days * DAY_US
    assert life.standing.until_us == until_us
    assert life.standing.then is (None if days is None else Verdict.DROP)


@pytest.mark.parametrize(("command", "source", "target", "roles"), MOVES)
@pytest.mark.parametrize("role", list(Role))
def test_each_command_leads_where_the_contract_says_and_only_for_its_roles(
    command: str, source: Status, target: Status, roles: tuple[Role, ...], role: Role
) -> None:
    life = in_status(source)
    if role in roles:
        decision = life.do(command, role, confirm=True)
        assert (decision.from_, decision.to, life.status) == (source, target, target)
    else:
        with pytest.raises(Refused, match="may not be carried out --as"):
            life.do(command, role, confirm=True)
        assert life.status is source


OTHERS = [
    (command, source)
    for command in COMMANDS
    for source in WAYS
    if not any((command, source) == (name, status) for name, status, *_ in MOVES)
]


@pytest.mark.parametrize(("command", "source"), OTHERS)
def test_every_other_command_is_refused_or_a_repetition(command: str, source: Status) -> None:
    life = in_status(source)
    leads_here = any((command, source) == (name, target) for name, _, target, _ in MOVES)
    if leads_here and command not in ("unsuspend", "revoke_deletion"):  # there was nothing to come back from
        assert not life.do(command, Role.OPERATOR, confirm=True).changed
    else:
        with pytest.raises(Refused, match=f"not possible in {source}"):
            life.do(command, Role.OPERATOR, confirm=True)
    assert life.status is source


def test_what_a_payment_provider_tells_acts_beneath_a_suspension_and_what_people_want_waits() -> None:
    life = in_status(Status.SUSPENDED)
    with pytest.raises(Refused, match="not possible in SUSPENDED"):
        life.do("cancel", Role.OWNER)
    life.do("cancel", Role.SYSTEM)
    assert life.status is Status.SUSPENDED
    life.do("unsuspend", Role.OPERATOR)
    assert life.status is Status.CANCELED


@pytest.mark.parametrize(("status", "days"), [(Status.CANCELED, 30), (Status.DELETION_SCHEDULED, 7)])
def test_a_deletion_clock_runs_out_to_the_microsecond(status: Status, days: int) -> None:
    """I8: and then nothing brings the account back."""
    life = in_status(status).just_before(days)
    assert life.status is status
    life.wait(1 / DAY_US)
    assert life.status is Status.DELETED
    assert life.standing.final
    assert life.effects == ["purge", "revoke_sessions", "stop_billing", "receipt"]
    for command in COMMANDS:
        with pytest.raises(Refused, match="DELETED, which is final"):
            life.do(command, Role.OPERATOR, confirm=True)


def test_delete_wants_a_confirmation() -> None:
    with pytest.raises(Refused, match="delete needs --confirm"):
        Life.begin(DEFAULT).do("delete")


@pytest.mark.parametrize("beneath", ["pause", "cancel"])
def test_revoking_a_deletion_gives_back_what_lay_beneath(beneath: str) -> None:
    life = Life.begin(DEFAULT)
    life.do(beneath)
    before = life.account.layers
    life.wait(1).do("delete", confirm=True)
    life.wait(2).do("revoke_deletion")
    assert [layer.status for layer in life.account.layers] == [layer.status for layer in before]


def test_revoking_a_deletion_late_does_not_delete_by_the_clock_beneath() -> None:
    """A day was left of the 30 when the deletion was asked for, and a day is left when it is revoked."""
    life = Life.begin(DEFAULT)
    life.do("cancel")
    life.wait(29).do("delete", confirm=True)
    life.wait(6).do("revoke_deletion")
    assert life.status is Status.CANCELED
    assert life.standing.until_us == life.now_us + DAY_US


def test_a_suspension_gives_back_a_pause_with_its_hidden_hits() -> None:
    """I9: hidden before and after, dropped in between."""
    life = Life.begin(DEFAULT)
    life.do("pause")
    life.do("suspend", Role.OPERATOR)
    assert life.verdict is Verdict.DROP
    life.do("unsuspend", Role.OPERATOR)
    assert (life.status, life.verdict) == (Status.PAUSED, Verdict.HIDE)


def test_a_reason_is_taken_as_it_is_said() -> None:
    """The rulebook lists no codes, so any reason is only recorded."""
    assert Life.begin(DEFAULT).do("cancel", reason="we closed the shop").changed
