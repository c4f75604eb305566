"""Draws each packaged rulebook into docs/rulebooks/NAME.svg: `python docs/rulebook_pictures.py`.

The same drawing as `pixelgate rulebook show NAME --svg FILE`. A test proves the pictures current.
"""

from pathlib import Path

from gating.policy import load_rulebook, rulebooks
from gating.rulebook_svg import svg

FOLDER = Path(__file__).parent / "rulebooks"


def pictures() -> dict[Path, str]:
    """Every picture, by its file."""
    return {FOLDER / f"{name}.svg": svg(load_rulebook(name)) for name in rulebooks()}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file, text in pictures().items():
        file.write_text(text, encoding="utf-8")
