"""A year in the life of one account, each stage held to what its rulebook promises."""

import pytest

from tests.lives.life import Life, play
from tests.lives.page import PAGE, lives, page

LIVES = lives()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("path", LIVES, ids=[path.stem for path in LIVES])
def test_a_year_in_the_life_of_an_account(tmp_path, path):
    for told in play(Life.read(path), tmp_path):
        stage = told.stage
        where = f"{path.stem}, day {stage.day:g}: {stage.says}"
        standing = (told.standing["status"], told.standing["verdict"], told.standing["access"])
        assert standing == (stage.status, stage.verdict, stage.access), where
        assert (told.events["visible"], told.events["hidden"], told.events["unverified"]) == (
            stage.visible,
            stage.hidden,
            0,
        ), where
        assert told.own == (None if stage.access == "NONE" else {"visible": stage.visible}), where


def test_the_page_of_lives_is_what_is_played():
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m tests.lives writes it anew"
