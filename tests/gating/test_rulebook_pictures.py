"""The pictures of rulebooks: every way is drawn, nothing covers a label, no text is taken for markup."""

import importlib.util
import re
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from gating.policy import load_rulebook, rulebooks
from gating.rulebook import Policy
from gating.rulebook_svg import svg
from gating.rulebook_ways import Kind, ways_of
from gating.status import Verdict
from tests.gating.everything import EVERYTHING

DOCS = Path(__file__).parent.parent.parent / "docs"
EVERY = [*(load_rulebook(name) for name in rulebooks()), EVERYTHING]
books = pytest.mark.parametrize("book", EVERY, ids=[book.name for book in EVERY])
SVG = "{http://www.w3.org/2000/svg}"
LETTERS = {"head": 14 * 0.602, "name": 12 * 0.602, "more": 11 * 0.602, None: 11 * 0.602}  # monospaced, by their size

Area = tuple[float, float, float, float]


def drawn(book: Policy) -> ET.Element:
    return ET.fromstring(svg(book))


def areas(root: ET.Element) -> dict[str, Area]:
    """(left, top, right, bottom) of each text."""
    found: dict[str, Area] = {}
    for number, text in enumerate(root.iter(f"{SVG}text")):
        letter, words = LETTERS[text.get("class")], text.text or ""
        width, x, y = letter * len(words), float(text.attrib["x"]), float(text.attrib["y"])
        left = x - width * {"start": 0, None: 0, "middle": 0.5, "end": 1}[text.get("text-anchor")]
        found[f"{number} {words}"] = (left, y - letter / 0.602 * 0.76, left + width, y + letter / 0.602 * 0.22)
    return found


def lines(root: ET.Element) -> list[Area]:
    """Every straight piece of a way."""
    found: list[Area] = []
    for path in root.iter(f"{SVG}path"):
        piece = re.fullmatch(r"M([\d.]+),([\d.]+)([VH])([\d.]+)", path.attrib["d"])
        if piece is not None and "way" in path.get("class", ""):
            x, y, to = float(piece[1]), float(piece[2]), float(piece[4])
            found.append((x, min(y, to), x, max(y, to)) if piece[3] == "V" else (min(x, to), y, max(x, to), y))
    return found


def meet(one: Area, other: Area) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


@books
def test_no_label_is_covered_by_another_or_by_a_line(book: Policy) -> None:
    root = drawn(book)
    texts, pieces = areas(root), lines(root)
    assert len(texts) > 10
    assert len(pieces) > 8
    assert [pair for pair in combinations(texts, 2) if meet(texts[pair[0]], texts[pair[1]])] == []
    assert [(text, line) for text, area in texts.items() for line in pieces if meet(area, line)] == []
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    assert all(a >= 0 and b >= 0 and c <= width and d <= height for a, b, c, d in [*texts.values(), *pieces])


@books
def test_every_status_and_every_way_is_drawn_and_told(book: Policy) -> None:
    root = drawn(book)
    texts = [text.text or "" for text in root.iter(f"{SVG}text")]
    names = [text.text for text in root.iter(f"{SVG}text") if text.get("class") == "name"]
    assert sorted(names) == sorted(book.statuses)
    told = [title.text or "" for title in root.iter(f"{SVG}title")]
    desc = root.findtext(f"{SVG}desc") or ""
    for way in ways_of(book):
        assert ", ".join(way.labels) in texts
        assert f"{way.source} to {' or '.join(way.targets)} by {', '.join(way.labels)}" in desc
        for target in way.targets:
            begins = f"{way.source} ({', '.join(way.labels)})"
            assert [one for one in told if begins in one.partition(" → ")[0] and target in one.partition(" → ")[2]]


@books
def test_a_deadline_is_dashed_and_a_box_has_its_verdicts_colour(book: Policy) -> None:
    text = svg(book)
    deadlines = [way for way in ways_of(book) if way.kind is Kind.DEADLINE]
    assert deadlines
    assert 'class="way deadline"' in text
    assert ".deadline{stroke-dasharray" in text
    for verdict, filling in ((Verdict.ACCEPT, "#e3f4e6"), (Verdict.HIDE, "#fdf0cd"), (Verdict.DROP, "#f8e1de")):
        boxes = sum(rule.verdict is verdict and not rule.inherits for rule in book.statuses.values())
        assert text.count(f'rx="7" fill="{filling}"') == boxes


def test_whoever_cannot_see_it_is_told_what_it_is() -> None:
    root = drawn(load_rulebook("default"))
    assert (root.get("role"), root.get("aria-labelledby")) == ("img", "title desc")
    assert root.findtext(f"{SVG}title") == "A plain product: states and ways of rulebook default"
    assert (root.findtext(f"{SVG}desc") or "").startswith("An account starts ACTIVE. ACTIVE to ")


@pytest.mark.parametrize("title", ["</title><script>alert(1)</script>", "\x00\x1f\ufffe\u2028", "x" * 5000, "\"'&<>"])
def test_no_title_is_taken_for_markup(title: str) -> None:
    root = drawn(replace(load_rulebook("default"), title=title))
    assert {element.tag.removeprefix(SVG) for element in root.iter()} == {
        "svg", "title", "desc", "defs", "marker", "style", "rect", "text", "path", "g", "circle",
    }  # fmt: skip
    assert float(root.attrib["width"]) < 2000


def test_the_documentations_pictures_are_drawn_from_the_rulebooks_as_they_are_now() -> None:
    spec = importlib.util.spec_from_file_location("rulebook_pictures", DOCS / "rulebook_pictures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    there = {file: file.read_text() for file in (DOCS / "rulebooks").iterdir()}
    assert there == module.pictures(), "run `python docs/rulebook_pictures.py`"
    page = (DOCS / "rulebooks.md").read_text()
    assert [name for name in rulebooks() if f"](rulebooks/{name}.svg)" not in page] == []
