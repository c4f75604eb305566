"""Every kind of fault a rulebook can have is named with its line. The line meant carries `#!` in the text."""

import ast
import contextlib
import inspect
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gating import policy, rulebook_check, rulebook_reader, rulebook_rows, rulebook_schema
from gating.errors import NotFound, RulebookInvalid
from gating.policy import check, load_rulebook, parse_rulebook
from gating.rulebook_lines import lines_of
from gating.rulebook_reader import Reader
from gating.status import Status

SOUND = """\
title = "Sound"
start = "ACTIVE"

[status.ACTIVE]
verdict = "ACCEPT"
access = "FULL"

[status.PAUSED]
verdict = "HIDE"
access = "NONE"

[status.CANCELED]
verdict = "DROP"
access = "EXPORT"
deadline = { anchor = "entered", span = "30d", then = "DELETED" }

[status.DELETED]
verdict = "DROP"
access = "NONE"

[command.pause]
from = ["ACTIVE"]
to = "PAUSED"
by = ["OWNER"]

[command.resume]
from = ["PAUSED"]
to = "previous"
by = ["OWNER"]

[[command.cancel]]
from = ["PAUSED"]
to = "CANCELED"
by = ["OWNER"]

[[command.cancel]]
from = ["ACTIVE"]
to = "CANCELED"
by = ["OWNER"]
"""

MODULES = (policy, rulebook_check, rulebook_reader, rulebook_rows, rulebook_schema)
"""All that notes faults."""

FAULTS = tomllib.loads((Path(__file__).parent / "rulebooks" / "faults.toml").read_text())["fault"]


def broken(fault: dict[str, str]) -> tuple[str, int]:
    """The text with the fault, and the line it is on."""
    assert fault["old"] in SOUND
    text = SOUND.replace(fault["old"], fault["new"], 1)
    if "and_old" in fault:
        assert fault["and_old"] in text
        text = text.replace(fault["and_old"], fault["and_new"], 1)
    (line,) = [number for number, row in enumerate(text.split("\n"), 1) if "#!" in row]
    return text, line


def test_the_sound_rulebook_has_no_fault(tmp_path: Path) -> None:
    file = tmp_path / "sound.toml"
    file.write_text(SOUND)
    assert check(file) == []


@pytest.mark.parametrize("fault", FAULTS, ids=[fault["name"] for fault in FAULTS])
def test_each_kind_of_fault_is_named_with_file_and_line(tmp_path: Path, fault: dict[str, str]) -> None:
    text, line = broken(fault)
    file = tmp_path / "broken.toml"
    file.write_text(text)
    found = [(found.file, found.line) for found in check(file) if fault["words"] in found.message]
    assert found == [("broken.toml", line)], [str(found) for found in check(file)]
    with pytest.raises(RulebookInvalid, match=f"broken.toml:{line}: "):
        load_rulebook(file)


def sites() -> set[tuple[str, int, int]]:
    """(module, first line, last line) of every place that notes a fault."""
    found = set()
    for module in MODULES:
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in ("fault", "_fault") or (module is policy and name == "Fault"):
                found.add((module.__name__, node.lineno, node.end_lineno or node.lineno))
    return found


def test_every_place_that_notes_a_fault_has_a_fault_here_that_comes_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new kind of fault without a row in faults.toml (or here, where it is of a whole file) fails this."""
    come_to: set[tuple[str, int]] = set()

    def noting(original: Callable[..., object]) -> Callable[..., object]:
        def noted(*arguments: object, **named: object) -> object:
            frame = sys._getframe(1)
            come_to.add((frame.f_globals["__name__"], frame.f_lineno))
            return original(*arguments, **named)

        return noted

    monkeypatch.setattr(Reader, "fault", noting(Reader.fault))
    monkeypatch.setattr(rulebook_check, "_fault", noting(rulebook_check._fault))
    monkeypatch.setattr(policy, "Fault", noting(policy.Fault))
    whole = {"No-Name!.toml": SOUND, "long.toml": "#" * 300_000, "deep.toml": "a = " + "[" * 5000}
    texts = whole | {f"broken{number}.toml": broken(fault)[0] for number, fault in enumerate(FAULTS)}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        assert check(tmp_path / name)
    places = sites()
    assert len(places) > 40
    assert [
        place for place in sorted(places) if not any(m == place[0] and place[1] <= n <= place[2] for m, n in come_to)
    ] == []


def test_all_faults_are_reported_in_the_order_of_their_lines(tmp_path: Path) -> None:
    text = SOUND.replace('"HIDE"', '"SHOW"').replace('"EXPORT"', '"SOME"').replace('"30d"', '"soon"')
    file = tmp_path / "broken.toml"
    file.write_text(text)
    assert [fault.line for fault in check(file)] == [9, 14, 15]


def test_a_fault_of_the_shared_part_names_the_shared_file() -> None:
    stored = load_rulebook("default").text.replace(
        'to = "previous"\nby = ["OPERATOR"]', 'to = "previous"\nby = ["BOSS"]'
    )
    with pytest.raises(RulebookInvalid, match=r"^common\.toml:\d+: unknown role 'BOSS'"):
        parse_rulebook(stored, "default")


@pytest.mark.parametrize(
    "content", [b"\xff\xfe\x00", b"a = " + b"[" * 5000, b"x" * 300_000, b"", b"[[status]]\n", b"status = 1"]
)
def test_a_file_that_is_no_rulebook_at_all_is_a_fault_and_nothing_worse(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "broken.toml"
    file.write_bytes(content)
    assert check(file)


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no rulebook file"):
        check(tmp_path / "missing.toml")


@given(st.integers(0, len(SOUND) - 1), st.sampled_from(['"', "[", "]", "{", "}", "=", "\n", "#", "x", "5", ",", "."]))
def test_no_single_slip_of_the_pen_raises_anything_but_faults(place: int, character: str) -> None:
    text = SOUND[:place] + character + SOUND[place + 1 :]
    with contextlib.suppress(RulebookInvalid):
        assert parse_rulebook(text, "slip").start in Status


def test_lines_are_found_through_every_form_of_toml() -> None:
    text = '''# comment = 1
a = """
b = 2 ]
"""  # after
"quoted key" . 'x' = [ # opens
  1,
  { y = "}", z = [ '],' ] },
]
[t.u]
v = 2026-01-01 # "
[[list]]
w = 1
[[list]]
  [list.deep]
  w = "\\""
'''
    assert {path: line for path, line in lines_of(text).items() if path[-1] != 0} == {
        ("a",): 2,
        ("quoted key",): 5,
        ("quoted key", "x"): 5,
        ("quoted key", "x", 1): 7,
        ("quoted key", "x", 1, "y"): 7,
        ("quoted key", "x", 1, "z"): 7,
        ("t", "u"): 9,
        ("t", "u", "v"): 10,
        ("list",): 11,
        ("list", 0, "w"): 12,
        ("list", 1): 13,
        ("list", 1, "deep"): 14,
        ("list", 1, "deep", "w"): 15,
    }
