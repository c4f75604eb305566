"""Bad input: damaged files, rulebooks with faults, keys that nobody has. One clear line, and nothing else is lost."""

import re
import socket

import pytest

from collector.metrics import read_counters
from tests.eventually import eventually
from tests.faults.witness import NOTICE, Client, complaint, fired, kept, mentions, snapshot
from tests.processes import collector, free_port, gating
from tests.system import System

GARBAGE = bytes(range(256)) * 64
FAULTY_RULEBOOK = """title = "Mine"
start = "ACTIVE"

[status.ACTIVE]
verdict = "MAYBE"
access = "FULL"

[status.PAUSED]
verdict = "HIDE"
access = "SOMETIMES"
"""


@pytest.fixture
def system(tmp_path):
    """One worker; killed at the end, whatever came of the test."""
    system = System(tmp_path, workers=1)
    yield system
    if system.process is not None:
        system.kill()


def created(system):
    """The write key of a new account `shop`."""
    return system.json("account", "create", "--id", "shop", "--rulebook", "default")["write_key"]


def flip(segment, first, last):
    """Flip every byte from somewhere in hit `first` to somewhere in hit `last`; returns the damaged segment."""
    content = bytearray(segment.read_bytes())
    begin, end = content.index(b"number=%d " % first), content.index(b"number=%d " % last) + 9
    content[begin:end] = bytes(byte ^ 0xFF for byte in content[begin:end])
    segment.write_bytes(content)
    return bytes(content)


def test_a_corrupt_segment_costs_what_was_hit_and_each_command_names_exactly_that(system, tmp_path):
    """I1 but for hits 150 to 152, whose bytes are gone: told before they are taken over, and ever after."""
    key = created(system)
    with system.running("collector"):
        fired(system.port, key, range(1, 301))
    (segment,) = system.data.glob("journals/*/*.segment")
    damaged = flip(segment, 150, 152)
    before = snapshot(system.data / "journals")
    found = system.cli("journal", "check", str(system.data), "--json", code=1).stdout
    assert '"missing":[[150,152]]' in found
    assert "sequences 150 to 152" in system.cli("journal", "check", str(system.data), code=1).stdout
    assert snapshot(system.data / "journals") == before
    with system.running():
        fired(system.port, key, range(301, 331))
        assert kept(system, "shop", tmp_path / "events") == [*range(1, 150), *range(153, 331)]
        told = system.cli("verify", code=1).stdout.splitlines()
        assert [line for line in told if "FAULT" in line] == [
            f"FAULT  journal {segment.parent.name}: hits 150 to 152 were answered and cannot be read any more"
        ]
        assert told[-1] == "not ok"
    (copy,) = (system.data / "quarantine").iterdir()
    assert copy.read_bytes() == damaged
    assert copy.name == f"{segment.parent.name}-{segment.name}"


def answer_of(port, target):
    """Every byte of the answer to a GET but for its date's."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    return re.sub(rb"(?i)\r\ndate: [^\r]*", b"", answer)


def test_an_unknown_key_or_none_is_answered_like_a_known_one_counted_and_kept_nowhere(system, tmp_path):
    """I2, I4. The known key's marker is found in the journal, so the search would find the others'."""
    key, port = created(system), free_port()
    with (
        gating(system.data, tmp_path / "gating.log"),
        collector(system.data, tmp_path / "collector.log", port, segment_bytes=32 * 1024**2) as worker,
    ):
        client = Client(port, key)
        eventually(lambda: not client.ready())
        client.close()
        known = answer_of(port, f"/p/{key}.gif?e=marker-known")
        for target in ("/p/nobody-has-this.gif?e=marker-a", "/p.gif?k=nor-this&e=marker-b", "/p/%ff.gif?e=marker-c"):
            assert answer_of(port, target) == known
        for target in ("/p.gif?e=marker-d", "/p.gif?k=&e=marker-e"):
            assert answer_of(port, target) == known
        assert worker.stop() == 0
        assert mentions(system.data, b"marker-known")
        assert [mentions(system.data, b"marker-" + letter) for letter in (b"a", b"b", b"c", b"d", b"e")] == [[]] * 5
        (published,) = read_counters(system.data / "counters")
    counted = {outcome: hits for outcome, hits in published.outcomes.items() if hits}
    assert counted == {"accepted": 1, "dropped_unknown_key": 3, "dropped_no_key": 2}


def test_a_faulty_rulebook_is_told_fault_by_fault_with_its_line(system, tmp_path):
    book = tmp_path / "mine.toml"
    book.write_text(FAULTY_RULEBOOK)
    lines = system.cli("rulebook", "check", str(book), code=1).stderr.splitlines()
    assert any(line.startswith("mine.toml:5: ") and "MAYBE" in line for line in lines), lines
    assert any(line.startswith("mine.toml:10: ") and "SOMETIMES" in line for line in lines), lines
    assert not any("Traceback" in line for line in lines)
    for content in (GARBAGE, b"", b"start = \n"):
        book.write_bytes(content)
        told = system.cli("rulebook", "check", str(book), code=1).stderr.splitlines()
        assert all(re.match(r"mine\.toml(:\d+)?: ", line) for line in told), told


def test_an_account_under_a_rulebook_that_is_not_there_is_not_created(system):
    created(system)
    before = system.json("account", "list")
    for rulebook in ("nosuch", "../default"):
        refused = system.cli("account", "create", "--id", "mine", "--rulebook", rulebook, code=1)
        assert repr(rulebook) in complaint(refused.stderr)
        assert refused.stdout == ""
    assert system.json("account", "list") == before


def test_a_ledger_that_is_no_database_is_named_left_alone_and_costs_no_hit(system, tmp_path):
    """Hits are kept unverified meanwhile; once the ledger has been put back they are settled by it (I10)."""
    key = created(system)
    whole = system.data / "ledger.sqlite"
    good = whole.read_bytes()
    whole.write_bytes(GARBAGE)
    for words in (
        ["account", "list"], ["account", "create", "--rulebook", "default"], ["verify"],
        ["gating", "--admin-port", "0"],
    ):  # fmt: skip
        assert f"{whole} cannot be used" in complaint(system.cli(*words, code=3).stderr)
    ports = ["--port", str(system.port), "--admin-port", "0"]
    told = system.cli("run", "--workers", "1", *ports, code=1).stderr.splitlines()
    notices = [line for line in told if line.startswith(NOTICE)]  # the worker, meanwhile, says that it goes on
    assert len(notices) == 1
    assert f"{whole} cannot be used" in notices[0]
    with system.running("collector"):
        fired(system.port, key, range(50))
    assert "Traceback" not in system.log.read_text()
    assert whole.read_bytes() == GARBAGE
    whole.write_bytes(good)
    with system.running():
        assert kept(system, "shop", tmp_path / "events") == list(range(50))
        assert system.json("verify")["ok"]


def test_a_warehouse_that_is_none_is_named_left_alone_and_costs_no_hit(system, tmp_path):
    """Without it there is no consumer; the journals keep what comes until there is (I1)."""
    key = created(system)
    system.data.joinpath("warehouse.duckdb").write_bytes(GARBAGE)
    for words in (["consumer", "materialise"], ["report", "shop"], ["verify"]):
        assert "warehouse.duckdb" in complaint(system.cli(*words, code=3).stderr)
    ports = ["--port", str(system.port), "--admin-port", "0"]
    assert "warehouse.duckdb" in complaint(system.cli("run", "--workers", "1", *ports, code=1).stderr)
    with system.running("collector"):
        fired(system.port, key, range(50))
        assert "warehouse.duckdb" in complaint(system.cli("consumer", "materialise", code=3).stderr)
    assert system.data.joinpath("warehouse.duckdb").read_bytes() == GARBAGE
    system.data.joinpath("warehouse.duckdb").unlink()
    with system.running():
        assert kept(system, "shop", tmp_path / "events") == list(range(50))


def test_counters_that_do_not_read_are_told_as_unknown_and_left_alone(system):
    """What the worker kept is known by its journal all the same; a power cut may leave the file empty."""
    key = created(system)
    with system.running("collector"):
        fired(system.port, key, range(20))
    (counters,) = (system.data / "counters").glob("*.json")
    for content in (b"", GARBAGE, b"[]"):
        counters.write_bytes(content)
        summed = system.json("verify")
        assert summed["ok"], summed
        assert (summed["kept"], summed["kept_counted"]) == (20, 0)
        assert [lost["journal"] for lost in summed["unknown"]] == [counters.stem]
        assert counters.read_bytes() == content
    assert f"journal {counters.stem}" in system.cli("verify").stdout
    assert system.json("report", "shop", "--settled", "30")["events"]["visible"] == 20
