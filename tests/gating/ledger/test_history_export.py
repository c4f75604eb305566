"""An export is checked by a program that shares no code with the ledger; a kept head shows what was rewritten."""

import importlib.util
import json
from pathlib import Path

import pytest
from sqlalchemy import select, text

from gating.ledger.history import digest_of
from gating.ledger.tables import history
from tests.gating.ledger.test_ledger_chain import engine_of, tamper, walked  # noqa: F401  a fixture, by its name

_spec = importlib.util.spec_from_file_location("verifier", Path(__file__).parents[3] / "docs" / "verify_history.py")
verifier = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(verifier)


@pytest.fixture
def lines(walked):  # noqa: F811
    return [json.dumps(row, ensure_ascii=False) for row in walked.chained_rows(0, walked.chain()[0])]


def test_an_export_passes_the_independent_verifier_and_ends_with_the_head(walked, lines):  # noqa: F811
    head = walked.chain()[1].hex()
    assert (len(lines), verifier.check(lines, head)) == (10, None)
    assert verifier.check(lines[4:], head, 4) is None
    assert verifier.check(lines[4:], head) is not None


@pytest.mark.parametrize("row", [0, 4, 9])
@pytest.mark.parametrize("field", [column.name for column in history.columns])
def test_the_independent_verifier_finds_any_altered_field(lines, row, field):
    altered = json.loads(lines[row])
    altered[field] = "00" * 31 + "01" if field in ("previous", "digest", "state_digest") else "other"
    assert verifier.check([*lines[:row], json.dumps(altered), *lines[row + 1 :]]) is not None


def test_the_independent_verifier_finds_two_names_exchanged(lines):
    row = json.loads(lines[4])
    names = {"actor": "role", "role": "actor"}
    exchanged = {names.get(name, name): value for name, value in row.items()}
    assert verifier.check([*lines[:4], json.dumps(exchanged), *lines[5:]]) is not None


def test_the_independent_verifier_finds_removed_and_moved_rows(walked, lines):  # noqa: F811
    assert verifier.check([*lines[:3], *lines[4:]]) is not None
    assert verifier.check([*lines[:3], lines[4], lines[3], *lines[5:]]) is not None
    assert verifier.check(lines[:-1]) is None
    assert verifier.check(lines[:-1], walked.chain()[1].hex()) is not None


def test_a_tail_removed_with_its_counter_and_digest_shows_by_a_kept_head_alone(walked, url):  # noqa: F811
    kept = walked.chain()[1]
    assert walked.verify_history(kept) == []
    tamper(
        url,
        "DELETE FROM history WHERE version = 10",
        "UPDATE meta SET head = 9, chain = (SELECT digest FROM history WHERE version = 9)",
    )
    assert walked.verify_history() == []
    assert ["--head" in fault.message for fault in walked.verify_history(kept)] == [True]


def test_a_history_written_anew_shows_by_a_kept_head_alone(walked, url):  # noqa: F811
    kept = walked.chain()[1]
    engine = engine_of(url)
    with engine.begin() as connection:
        rows = connection.execute(select(history).order_by(history.c.version)).mappings().all()
        previous = bytes(32)
        for row in rows:
            forged = {**row, "actor": "eve"}
            digest = digest_of(forged, previous)
            change = history.update().where(history.c.version == row["version"])
            connection.execute(change.values(actor="eve", previous=previous, digest=digest))
            previous = digest
        connection.execute(text("UPDATE meta SET chain = :chain"), {"chain": previous})
    engine.dispose()
    assert walked.verify_history() == []
    assert walked.verify_history(kept) != []
