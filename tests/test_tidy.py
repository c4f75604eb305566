"""The house, read as text: what a reviewer would otherwise have to look for in every change."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from collector.outcome import LABELS, Outcome
from gating.policy import rulebooks
from tests.processes import ROOT

PACKAGES = ("gating", "collector", "consumers", "deploy", "loadtest")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
LINES_MAX = 400


def test_there_is_something_to_look_at():
    assert len(MODULES) > 100


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_opens_by_saying_what_it_is_for_and_is_one_noun_long(path):
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)), "no module docstring"
    assert text.count("\n") <= LINES_MAX, "look for the noun that wants out"


def test_nothing_is_left_open_in_the_code():
    marks = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")
    assert [str(path) for path in MODULES if marks.search(path.read_text(encoding="utf-8"))] == []


def test_no_product_is_named_outside_its_rulebook_and_tests():
    """A rulebook is data: the code knows no product."""
    names = [name for name in rulebooks() if name not in ("default", "segment")]  # a journal has segments
    named = re.compile("|".join(names), re.IGNORECASE)
    assert names
    assert [str(path) for path in MODULES if named.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-test.lock"])
def test_what_is_installed_is_pinned_by_hash_from_nowhere_in_particular(lock):
    text = (ROOT / lock).read_text(encoding="utf-8")
    pinned = re.findall(r"^[a-z0-9._\[\]-]+==\S+", text, re.MULTILINE | re.IGNORECASE)
    assert len(pinned) > 10
    assert text.count("--hash=sha256:") >= len(pinned)
    assert not re.search(r"https?://|--index|--find-links", text)


def test_every_outcome_stands_in_the_readme_and_no_other():
    """I4: a reader can look up what became of a hit."""
    table = (ROOT / "README.md").read_text(encoding="utf-8").partition("## What became of a hit")[2]
    rows = re.findall(r"^\| `(\w+)` \| (?:`(\w+)`)? *\|", table, re.MULTILINE)
    assert rows == list(LABELS.values())
    assert set(LABELS) == set(Outcome)


@pytest.mark.parametrize(
    "package",
    [
        "gating",
        "collector",
        "consumers",
        "gating/ledger",
        "gating/rest",
        "collector/journal",
        "loadtest/bench",
        "loadtest/bench/latency",
        "loadtest/bench/delivered",
        "loadtest/bench/lifecycle",
        "loadtest/bench/growth",
        "loadtest/peers",
        "loadtest/capacity",
        "loadtest/traffic",
        "loadtest/shapes",
        "loadtest/reckoning",
        "loadtest/page",
    ],
)
def test_every_module_stands_on_its_packages_map(package):
    """Each `__init__` maps its rooms."""
    directory = ROOT / package
    page = ast.get_docstring(ast.parse((directory / "__init__.py").read_text(encoding="utf-8"))) or ""
    words = set(re.findall(r"[a-z_]+", page))
    assert {path.stem for path in directory.glob("*.py") if not path.stem.startswith("_")} - words == set()


def test_the_console_script_starts():
    done = subprocess.run(
        [Path(sys.executable).with_name("pixelgate"), "--help"], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0
    assert "Example: pixelgate run" in done.stdout
