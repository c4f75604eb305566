"""Loading rulebooks: names, digests, what is stored with an account, what is shown."""

import json
from pathlib import Path

import pytest

from gating import policy
from gating.errors import NotFound
from gating.lifecycle import standing
from gating.policy import load_rulebook, mermaid, parse_rulebook, rulebooks, show
from gating.status import Role, Status
from tests.gating.everything import EVERYTHING
from tests.gating.life import Life

PACKAGED = rulebooks()
EVERY = [*(load_rulebook(name) for name in PACKAGED), EVERYTHING]
IDS = [book.name for book in EVERY]


def test_the_packaged_rulebooks_are_listed_and_the_shared_part_is_none_of_them() -> None:
    assert {"default", "segmetrics"} <= set(PACKAGED)
    assert policy.COMMON not in PACKAGED


def test_an_unknown_rulebook_is_not_found_and_the_nearest_is_suggested() -> None:
    with pytest.raises(NotFound, match="there is no rulebook 'segmetric'; did you mean 'segmetrics'"):
        load_rulebook("segmetric")
    with pytest.raises(NotFound, match="there is no rulebook 'common'"):
        load_rulebook("common")


@pytest.mark.parametrize("book", EVERY, ids=IDS)
def test_a_stored_text_gives_the_same_policy_again(book: policy.Policy) -> None:
    """The ledger keeps the text an account was created under, whatever later releases ship."""
    assert parse_rulebook(book.text, book.name) == book


def test_a_stored_text_keeps_the_shared_part_it_was_made_with() -> None:
    book = load_rulebook("default")
    older = parse_rulebook(book.text.replace('effects = ["rotate_key"]', "effects = []"), "default")
    assert older.digest != book.digest
    assert older.commands["rotate_key"][0].effects == ()
    assert parse_rulebook(older.text, "default") == older


def test_a_digest_names_what_a_rulebook_says_and_not_how_it_is_written() -> None:
    book = load_rulebook("default")
    commented = parse_rulebook(book.text.replace("[status.ACTIVE]", "# a remark\n\n[status.ACTIVE]", 1), "default")
    longer = parse_rulebook(book.text.replace('span = "30d"', 'span = "31d"'), "default")
    assert commented.digest == book.digest
    assert longer.digest != book.digest


def test_an_edit_of_the_rulebook_moves_no_deadline() -> None:
    """Promise `all 1`: what was computed on entering is stored with the account."""
    book = load_rulebook("default")
    life = Life.begin(book)
    life.do("cancel")
    edited = parse_rulebook(book.text.replace('span = "30d"', 'span = "1d"'), "default")
    assert standing(edited, life.account) == life.standing


def test_a_rulebook_replaces_what_the_shared_part_says_and_keeps_the_rest() -> None:
    default, segmetrics = load_rulebook("default"), load_rulebook("segmetrics")
    assert [str(row.place).split(":")[0] for row in default.commands["suspend"]] == ["default.toml"]
    assert [str(row.place).split(":")[0] for row in segmetrics.commands["suspend"]] == ["common.toml"]
    assert [str(row.place).split(":")[0] for row in default.commands["unsuspend"]] == ["common.toml"]
    assert segmetrics.commands["suspend"][0].sources == set(segmetrics.statuses) - {
        Status.SUSPENDED, Status.CANCELED, Status.DELETED,
    }  # fmt: skip


def test_places_are_the_lines_of_the_files() -> None:
    folder = Path(policy.__file__).parent / "policies"
    for name in PACKAGED:
        for row in [row for rows in load_rulebook(name).commands.values() for row in rows]:
            line = (folder / row.place.file).read_text().split("\n")[row.place.line - 1]
            assert line in (f"[command.{row.command}]", f"[[command.{row.command}]]")


def test_other_is_always_a_reason() -> None:
    book = load_rulebook("segmetrics")
    assert book.reason_codes("cancel")[-1] == "other"
    assert book.reason_codes("suspend") == ("abuse", "legal", "security", "unpaid", "other")
    assert book.reason_codes("no such command") == ("other",)


@pytest.mark.parametrize("book", EVERY, ids=IDS)
def test_a_rulebook_is_shown_whole_and_as_json(book: policy.Policy) -> None:
    shown = json.loads(json.dumps(show(book)))
    assert [status["status"] for status in shown["statuses"]] == [status.value for status in book.statuses]
    assert len(shown["commands"]) == sum(len(rows) for rows in book.commands.values())
    assert shown["digest"] == book.digest


def test_a_deadline_and_a_row_are_shown_in_the_tables_words() -> None:
    shown = show(EVERYTHING)
    statuses = {status["status"]: status for status in shown["statuses"]}
    assert statuses["ON_HOLD"]["deadline"] == "trial_end + 30d => CANCELED"
    assert statuses["ACTIVE"]["deadline"] == "last_activity + 365d => CANCELED (plan free)"
    assert (statuses["DELETION_REQUESTED"]["verdict"], statuses["DELETION_REQUESTED"]["due"]) == (None, "1bd")
    (restore,) = [row for row in shown["commands"] if row["command"] == "restore_backup"]
    assert (restore["by"], restore["within"], restore["to"]) == (["operator for owner"], "deleted_at + 1d", "same")


def test_the_diagram_has_every_status_and_every_way() -> None:
    lines = mermaid(load_rulebook("default")).splitlines()
    assert lines[:3] == ["stateDiagram-v2", "    [*] --> ACTIVE", '    state "ACTIVE (ACCEPT, FULL)" as ACTIVE']
    assert "    ACTIVE --> PAUSED: pause" in lines
    assert "    SUSPENDED --> PAUSED: unsuspend" in lines
    assert "    CANCELED --> DELETED: entered + 30d" in lines
    assert lines[-1] == "    DELETED --> [*]"


def test_no_product_is_named_in_code() -> None:
    """A product is data: what it does differently is said in its rulebook alone."""
    products = [name for name in PACKAGED if name not in ("default", "segment")]  # a journal has segments
    rooms = Path(policy.__file__).parent.parent
    for room in ("gating", "collector", "consumers", "deploy", "loadtest"):
        for file in (rooms / room).rglob("*.py"):
            named = [name for name in products if name in file.read_text().casefold()]
            assert named == [], file


def test_a_role_that_no_rulebook_knows_is_refused_everywhere() -> None:
    """An auditor looks on."""
    assert all(
        grant.by.role is not Role.AUDITOR
        for book in EVERY
        for rows in book.commands.values()
        for row in rows
        for grant in row.by
    )
