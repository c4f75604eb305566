"""Doctor: each thing that can be wrong is found, and nothing is touched by looking."""

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from collector.metrics import CounterFile, Counters
from collector.publisher.dead_letters import DeadLetters, Letter
from consumers.dead_letters import DeadLetters as PoisonFiles
from consumers.kafka_records import Poison
from deploy import doctor
from deploy.doctor import FAIL, OK, WARN, Check, examine
from gating.datadir import DataDirectory
from gating.gateway import Gateway
from tests.consumers.events import event
from tests.deploy.console import Console


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    return DataDirectory.open(tmp_path / "data")


@contextmanager
def account(directory: DataDirectory) -> Iterator[Gateway]:
    with Gateway.open(directory) as gateway:
        gateway.create_account("shop", rulebook="default")
        yield gateway


def found(directory: DataDirectory, name: str) -> Check:
    return next(check for check in examine(directory.root) if check.name == name)


def test_a_healthy_directory_has_nothing_to_fail(directory: DataDirectory) -> None:
    with account(directory):
        assert [check for check in examine(directory.root) if check.result == FAIL] == []


def test_looking_at_a_directory_that_is_not_there_makes_none(tmp_path: Path) -> None:
    examine(tmp_path / "data")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("used_percent", "result"), [(50, OK), (84, OK), (86, WARN), (96, FAIL)])
def test_a_disk_that_fills_up_warns_before_it_fails(
    directory: DataDirectory, monkeypatch: pytest.MonkeyPatch, used_percent: int, result: str
) -> None:
    """DESIGN 5: readiness fails at 85 %, hits get 503 at 95 %."""
    usage = SimpleNamespace(total=100, used=used_percent, free=100 - used_percent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert doctor.disk(directory.root).result == result


def test_a_rewritten_history_fails_and_the_exit_code_says_so(pixelgate: Console) -> None:
    directory = DataDirectory.open(pixelgate.data)
    with account(directory):
        pass
    with sqlite3.connect(directory.ledger) as ledger:
        ledger.execute("UPDATE history SET actor = 'somebody else'")
    ledger.close()
    told = pixelgate("doctor", "--json")
    assert told.code == 1
    failed = [check for check in told.json if check["result"] == FAIL]
    assert [check["name"] for check in failed] == ["ledger"]
    assert "altered" in failed[0]["found"]
    assert pixelgate("verify", "--json").json["ok"] is False


def test_a_role_that_is_held_but_does_not_answer_fails(directory: DataDirectory) -> None:
    with directory.hold("consumer"):
        assert found(directory, "consumer").result == FAIL
    assert found(directory, "consumer").result == OK


def test_a_ledger_that_everybody_may_read_warns(directory: DataDirectory) -> None:
    with account(directory):
        os.chmod(directory.ledger, 0o644)
    assert found(directory, "data directory").result == WARN


def test_a_setting_that_does_not_read_fails(directory: DataDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXELGATE_PORT", "eighty")
    assert found(directory, "settings").result == FAIL


def test_counters_of_a_process_that_is_something_else_by_now_are_no_worker(directory: DataDirectory) -> None:
    """This test's own process published them, and is no collector."""
    CounterFile(directory.counters, journal="a", worker=0).publish(Counters(), connections=0, version=0, leased=True)
    assert found(directory, "workers").found == "none runs"


def test_a_limit_on_open_files_below_the_connection_cap_warns(
    directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIXELGATE_CONNECTIONS_MAX", "1000000")
    assert found(directory, "open files").result == WARN


def test_events_that_kafka_refused_and_records_that_are_none_warn(directory: DataDirectory) -> None:
    assert found(directory, "dead letters").result == OK
    letters, poison = DeadLetters(directory.dead_letters), PoisonFiles(directory.dead_letters)
    assert found(directory, "dead letters").result == OK
    poison.append([Poison("pixel.events", 0, 1, 0, "?", b"shop:v", b"{", ())])
    told = found(directory, "dead letters")
    assert (told.result, told.found) == (
        WARN, "0 events that Kafka refused, 1 records that are no events, 0 damaged files",
    )  # fmt: skip
    lost = event(1, "cd" * 16)
    letters.append([Letter("cd" * 16, 1, "pixel.events", "too large", 0, lost.encode())])
    assert found(directory, "dead letters").found.startswith("1 events that Kafka refused, 1 records")
    letters.close()
    poison.close()


def test_copies_of_damaged_segments_warn(directory: DataDirectory) -> None:
    assert found(directory, "quarantine").result == OK
    (directory.quarantine / "segment").write_bytes(b"damaged")
    told = found(directory, "quarantine")
    assert (told.result, told.found) == (WARN, "1 damaged segments were set aside")


def test_a_saved_map_that_nobody_has_written_for_a_month_warns(directory: DataDirectory) -> None:
    saved = directory.maps / "0.map"
    saved.write_bytes(b"")
    assert found(directory, "saved maps").result == OK
    month_ago = time.time() - 40 * 86_400
    os.utime(saved, (month_ago, month_ago))
    told = found(directory, "saved maps")
    assert (told.result, told.found) == (WARN, "1 of worker slots; 0.map was not written for 40 days")
