"""Moving an account to another version of its rulebook, or to another: explicit, recorded, no deadline moves."""

import pytest

from gating.account import Request
from gating.datadir import DataDirectory
from gating.errors import NotFound, Refused
from gating.ledger import Ledger, Who
from gating.move import move
from gating.policy import load_rulebook, parse_rulebook
from gating.process import Leading
from gating.status import DAY_US, Access, Role, Status, Verdict
from tests.gating.life import START_US, Life

OPERATOR = Who("tests", Role.OPERATOR)
DEFAULT = load_rulebook("default")
LONGER = parse_rulebook(DEFAULT.text.replace('span = "30d"', 'span = "90d"', 1), "default")


def canceled() -> Life:
    life = Life.begin(DEFAULT)
    life.do("cancel")
    return life


def test_an_edit_moves_no_deadline_unless_that_is_asked_for() -> None:
    account = canceled().account
    kept = move(LONGER, account, START_US + DAY_US)
    assert (kept.changed, kept.account.rulebook_digest) == (True, LONGER.digest)
    assert (kept.account.deadline, dict(kept.account.anchors)) == (account.deadline, dict(account.anchors))
    anew = move(LONGER, account, START_US + DAY_US, recompute=True).account
    assert anew.deadline is not None
    assert anew.deadline.at_us == START_US + 90 * DAY_US


def test_what_the_status_means_is_the_new_rulebooks() -> None:
    decision = move(load_rulebook("kustomer"), canceled().account, START_US)
    assert (decision.from_, decision.to) == (Status.CANCELED, Status.CANCELED)
    assert (decision.verdict, decision.access, decision.effects) == (Verdict.DROP, Access.NONE, ())


def test_a_status_the_new_rulebook_lacks_is_refused_by_name() -> None:
    with pytest.raises(Refused, match="is CANCELED, which rulebook segment does not have"):
        move(load_rulebook("segment"), canceled().account, START_US)


def test_a_deleted_account_is_never_moved() -> None:
    with pytest.raises(Refused, match="DELETED, which is final"):
        move(LONGER, canceled().wait(31).account, START_US)


@pytest.fixture
async def leading(tmp_path):
    directory = DataDirectory.open(tmp_path / "data")
    with directory.hold("gating"), Leading(directory) as leading:
        yield leading, directory


async def test_a_move_is_a_change_of_its_own_in_a_history_that_verifies(leading):
    """And moving there again changes nothing."""
    (running, directory), who = leading, OPERATOR
    service = running.service
    await service.create_account("shop", rulebook="default", who=who)
    moved = await service.move("shop", to_rulebook="kustomer", who=who)
    assert (moved["changed"], moved["from_rulebook"], moved["rulebook"], moved["version"]) == (
        True, "default", "kustomer", 2,
    )  # fmt: skip
    again = await service.move("shop", who=who)
    assert (again["changed"], again["version"]) == (False, 2)
    assert [change["command"] for change in await service.history("shop")] == ["create", "move"]
    shown = await service.account("shop")
    assert (shown["rulebook"], shown["rulebook_packaged"]) == ("kustomer", True)
    assert load_rulebook("kustomer").digest.startswith(shown["rulebook_digest"])
    done = await service.do("shop", Request("cancel", Role.OWNER, actor="tests", confirm=True))
    assert done["status"] == "CANCELED"
    with pytest.raises(NotFound, match="no rulebook"):
        await service.move("shop", to_rulebook="../default", who=who)
    with Ledger.open_reading(f"sqlite:///{directory.ledger}") as ledger:
        assert ledger.verify_history() == []
        assert ledger.verify_projections() == []
