"""`pixelgate journal`: what it tells of whole and of damaged journals, and that it leaves them as they are."""

import hashlib
from pathlib import Path

import pytest

from collector.journal import Durability, Journal, Record, encode_record
from gating.datadir import DataDirectory
from gating.status import Verdict
from tests.deploy.console import Console

TIME_US = 1_772_366_400_000_000
HEAD = b"GET /p/SecretKeyOfTheShop.gif?e=signup HTTP/1.1\r\nHost: px.example.org\r\n\r\n"


@pytest.fixture
def journal(pixelgate: Console) -> Path:
    """A dead worker's journal: three frames of two hits."""
    directory = DataDirectory.open(pixelgate.data)
    written = Journal.create(directory.journals, Durability.PROCESS)
    for first in (1, 3, 5):
        parts = [encode_record(Record(first + n, TIME_US, Verdict.ACCEPT, True, 7, "shop", "192.0.2.1", HEAD, None))
                 for n in range(2)]  # fmt: skip
        assert written.append(TIME_US, parts, 2) == first
    path = written.path
    written.close()
    return path


def digest(path: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in path.iterdir()}


def damage_second_frame(journal: Path) -> None:
    segment = next(journal.glob("*.segment"))
    data = bytearray(segment.read_bytes())
    at = data.index(b"SecretKey", data.index(b"PXFR", data.index(b"PXFR") + 1))
    data[at] ^= 1
    segment.write_bytes(data)


def test_a_whole_journal_is_counted_and_left_as_it_is(pixelgate: Console, journal: Path) -> None:
    before = digest(journal)
    for directory in (journal, journal.parent, pixelgate.data):
        told = pixelgate("journal", "check", directory, "--json")
        assert told.code == 0
        assert {name: told.json[name] for name in ("frames", "records", "torn_bytes", "missing")} == {
            "frames": 3, "records": 6, "torn_bytes": 0, "missing": [],
        }  # fmt: skip
    assert digest(journal) == before


def test_damage_is_told_with_the_exact_missing_sequences_and_exit_code_1(pixelgate: Console, journal: Path) -> None:
    damage_second_frame(journal)
    before = digest(journal)
    told = pixelgate("journal", "check", journal, "--json")
    assert told.code == 1
    assert told.json["missing"] == [[3, 4]]
    assert told.json["records"] == 4
    assert "sequences 3 to 4" in pixelgate("journal", "check", journal).out
    assert digest(journal) == before


def test_records_are_shown_whole_as_json_and_without_the_key_on_a_screen(pixelgate: Console, journal: Path) -> None:
    every = pixelgate("journal", "show", journal, "--json").json
    assert [record["sequence"] for record in every] == [1, 2, 3, 4, 5, 6]
    one = pixelgate("journal", "show", journal, "--seq", "4", "--json").json
    assert one == every[3]
    assert one["head"].encode("latin-1") == HEAD
    screen = pixelgate("journal", "show", journal).out
    assert len(screen.splitlines()) == 6
    assert "SecretKey" not in screen
    assert "192.0.2.1" not in screen


def test_a_directory_without_journals_holds_nothing(pixelgate: Console) -> None:
    DataDirectory.open(pixelgate.data)
    assert pixelgate("journal", "check", pixelgate.data, "--json").json["records"] == 0
    assert pixelgate("journal", "show", pixelgate.data, "--json").json == []
