"""What every form of the ledger promises about write keys, and about what held for one at an instant."""

import pytest

from gating.account import Request
from gating.errors import AlreadyExists, InputInvalid, NotFound, Refused
from gating.feed import KEYS_PER_ACCOUNT_MAX
from gating.ledger import Held, new_write_key, standing_at
from gating.ledger.keys import REVOKED_CARRIED_US
from gating.lifecycle import decide, standing
from gating.status import DAY_US, SECOND_US, Role, Verdict
from tests.gating.ledger.desk import OPERATOR, POLICY, START_US

CHOSEN = "Wq3-Zt7_Kb9xMn2Vf5Rj"
ACCEPT, HIDE, DROP = Verdict.ACCEPT, Verdict.HIDE, Verdict.DROP

# ---- write keys ----------------------------------------------------------------------------------------------------


def test_write_keys_are_unguessable_and_unlike_each_other():
    keys = {new_write_key() for _ in range(1_000)}
    assert len(keys) == 1_000
    assert all(len(key) == 22 and key.isalnum() and key.isascii() for key in keys)


def test_a_change_carries_all_keys_of_its_account(ledger, desk):
    first = desk.open(source="www").keys[0].write_key
    second = desk.add_key(source="blog").keys[-1].write_key
    assert [key.write_key for key in desk.do("pause").keys] == [first, second]
    assert [(key.write_key, key.source) for key in ledger.keys("shop")] == [(first, "www"), (second, "blog")]
    assert ledger.account_of_key(second) == "shop"


def test_revoking_one_key_leaves_the_others_and_can_be_repeated(ledger, desk):
    """RULEBOOKS, segment 2 and all five 7"""
    first = desk.open().keys[0].write_key
    desk.add_key()
    desk.later(SECOND_US)
    change = desk.revoke_key(first)
    assert {key.write_key: key.revoked_at_us for key in change.keys}[first] == START_US + SECOND_US
    assert [key.revoked_at_us for key in change.keys if key.write_key != first] == [None]
    desk.later(SECOND_US)
    assert desk.revoke_key(first) == change
    assert ledger.head().version == 3
    with pytest.raises(NotFound):
        desk.revoke_key("somebody-elses")


def test_a_rotation_with_grace_lets_the_old_key_run_on(ledger, desk):
    old = desk.open(source="www").keys[0].write_key
    rotation = desk.rotate_key(grace_us=DAY_US)
    assert rotation.revoked == (old,)
    keys = {key.write_key: key for key in ledger.keys("shop")}
    assert keys[old].revoked_at_us == START_US + DAY_US
    assert (keys[rotation.write_key].source, keys[rotation.write_key].revoked_at_us) == ("www", None)
    assert desk.revoke_key(old).keys[0].revoked_at_us == START_US  # the grace can be cut short, not drawn out
    assert desk.revoke_key(old, grace_us=DAY_US).keys[0].revoked_at_us == START_US


def test_keys_are_cycled_source_by_source(ledger, desk):
    """RULEBOOKS, segment 2 and 10"""
    www = desk.open(source="www").keys[0].write_key
    blog = {desk.add_key(source="blog").keys[-1].write_key for _ in range(2)}
    rotation = desk.rotate_key(source="blog")
    assert set(rotation.revoked) == blog
    living = {key.write_key for key in ledger.keys("shop") if key.revoked_at_us is None}
    assert living == {www, rotation.write_key}
    assert desk.rotate_key(which=www).revoked == (www,)
    with pytest.raises(InputInvalid, match="--key or --source"):
        desk.rotate_key()
    with pytest.raises(NotFound):
        desk.rotate_key(source="app")


def test_a_clock_that_goes_back_dates_no_change_of_keys_before_the_accounts_last(desk):
    first = desk.open().at_us
    desk.later(-SECOND_US)
    second = desk.add_key()
    assert second.at_us == first
    assert desk.revoke_key(second.keys[0].write_key).keys[0].revoked_at_us == first


def test_a_rulebooks_rotation_is_one_change_and_reveals_nothing(ledger, desk):
    """RULEBOOKS, segment 2; DESIGN 8: the status stays, and at the edge a deadline may already hide hits."""
    old = desk.open(source="www").keys[0].write_key
    with ledger.begin() as transaction:
        account = transaction.account("shop").account
        request = Request("rotate_key", Role.OPERATOR, "cli", values={"source": "www"})
        decision = decide(POLICY, account, request, desk.now_us)
        ruling = (decision, standing(POLICY, decision.account))
        rotation = transaction.rotate_key("shop", at_us=desk.now_us, who=OPERATOR, ruling=ruling)
    assert rotation.change.version == 2
    assert ledger.revealed_version("shop") == 1
    row = ledger.history("shop")[-1]
    assert {key.write_key for key in row.keys} == {old, rotation.write_key}


def test_keys_are_never_given_again(desk):
    desk.open("a", write_key=CHOSEN)
    for give in (lambda: desk.open("b", write_key=CHOSEN), lambda: desk.add_key("a", write_key=CHOSEN)):
        with pytest.raises(AlreadyExists):
            give()
    for bad in ("", "a" * 65, "a b", "ü"):
        with pytest.raises(InputInvalid):
            desk.add_key("a", write_key=bad)


def test_an_account_has_at_most_as_many_keys_as_a_change_can_carry(ledger, desk):
    desk.open()
    with ledger.begin() as transaction:
        for _ in range(KEYS_PER_ACCOUNT_MAX - 1):
            transaction.add_key("shop", at_us=START_US, who=OPERATOR)
    with pytest.raises(Refused, match="1000 write keys"):
        desk.add_key()
    first = ledger.keys("shop")[0].write_key
    change = desk.revoke_key(first)
    assert len(change.keys) == KEYS_PER_ACCOUNT_MAX
    assert len(change.encode()) < 100_000
    with pytest.raises(Refused):
        desk.add_key()  # a key just revoked still travels: workers must learn of it
    desk.later(REVOKED_CARRIED_US)
    assert first not in {key.write_key for key in desk.add_key().keys}
    assert standing_at(ledger.timeline(first), desk.now_us).verdict is DROP


# ---- timelines -----------------------------------------------------------------------------------------------------


def test_a_timeline_tells_what_held_through_changes_deadlines_and_keys(ledger, desk):
    """DESIGN 6: a change counts from a second before its time."""
    first = desk.open().keys[0].write_key
    desk.later(100 * SECOND_US)
    desk.do("pause")
    second = desk.add_key().keys[-1].write_key
    desk.later(100 * SECOND_US)
    desk.do("resume")
    desk.later(100 * SECOND_US)
    desk.revoke_key(first)

    def held(key, seconds):
        return standing_at(ledger.timeline(key), START_US + int(seconds * SECOND_US))

    assert held(first, -1.5) == Held("shop", DROP, 0)
    assert held(first, -1) == Held("shop", ACCEPT, 1)
    assert held(first, 98.9) == Held("shop", ACCEPT, 1)
    assert held(first, 99) == Held("shop", HIDE, 2)
    assert held(second, 98.9) == Held("shop", DROP, 0)
    assert held(second, 99) == Held("shop", HIDE, 2)
    assert held(first, 199) == Held("shop", ACCEPT, 4)
    assert held(first, 299) == Held("shop", DROP, 4)
    assert held(second, 299) == Held("shop", ACCEPT, 4)
    assert ledger.timeline_of_account("shop", first) == ledger.timeline(first)
    assert ledger.timeline_of_account("other", first) is None
