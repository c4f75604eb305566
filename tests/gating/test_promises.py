"""The page about rulebooks is made from them: promise -> rule -> test."""

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from gating.policy import load_rulebook, parse_rulebook, rulebooks
from gating.rulebook_rows import EFFECTS, ROW_KEYS
from gating.rulebook_schema import STATUS_KEYS
from gating.status import Status
from gating.terms import NEEDS

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def promise_table() -> ModuleType:
    spec = importlib.util.spec_from_file_location("promise_table", ROOT / "docs" / "promise_table.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_promise_has_a_rule_and_a_test(promise_table: ModuleType) -> None:
    assert list(promise_table.unkept()) == []


def products_of(test: object) -> set[str]:
    """The products that pytest runs the test on."""
    found: set[str] = set()
    for mark in getattr(test, "pytestmark", ()):
        names = mark.args[0].split(",") if isinstance(mark.args[0], str) else mark.args[0]
        if mark.name == "parametrize" and "product" in names:
            found |= {value if len(names) == 1 else value[names.index("product")] for value in mark.args[1]}
    return found


def test_what_holds_in_every_product_is_tried_on_each_of_them(promise_table: ModuleType) -> None:
    """By what each test's parameter `product` really is."""
    tried = set()
    for file in (ROOT / "tests").rglob("test_*.py"):
        for name in re.findall(r"def (test_all_\d+_\w+)\(", file.read_text()):
            module = importlib.import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))
            tried |= {(name.split("_")[2], product) for product in products_of(getattr(module, name))}
    shared = [n.removeprefix("all ") for n in load_rulebook("default").promises if n.startswith("all ")]
    assert len(shared) == 10
    assert [(n, product) for n in shared for product in rulebooks() if (n, product) not in tried] == []


def test_a_promise_without_a_test_is_told(promise_table: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    left = [name for name in promise_table.tests() if not name.startswith(("test_all_5_", "test_segment_7_"))]
    monkeypatch.setattr(promise_table, "tests", lambda: left)
    assert list(promise_table.unkept()) == sorted([*(f"{name} all 5" for name in rulebooks()), "segment 7"])


def test_the_page_has_the_tables_as_they_are_now(promise_table: ModuleType) -> None:
    text = promise_table.PAGE.read_text()
    assert promise_table.page(text) == text, "run `python docs/promise_table.py`"


def test_the_pages_example_is_a_rulebook(promise_table: ModuleType) -> None:
    example = promise_table.PAGE.read_text().split("```toml\n")[1].split("```")[0]
    assert parse_rulebook(example, "shop").start is Status.ACTIVE


def test_the_page_names_every_word_of_the_schema(promise_table: ModuleType) -> None:
    text = promise_table.PAGE.read_text()
    words = [*EFFECTS, *NEEDS, *STATUS_KEYS, *ROW_KEYS]
    assert [word for word in words if f"`{word}`" not in text] == []


def test_every_rule_of_a_products_own_file_says_which_promise_it_keeps() -> None:
    """But for statuses that every product has in the same meaning."""
    for file in (ROOT / "gating" / "policies").glob("*.toml"):
        data = tomllib.loads(file.read_text())
        if "promise" not in data or file.stem == "common":
            continue
        rows = [row for value in data["command"].values() for row in (value if isinstance(value, list) else [value])]
        assert all(row.get("promises") for row in rows), file
