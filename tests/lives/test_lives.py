"""A year in the life of one account a rulebook, each stage held to what that rulebook promises."""

import pytest

from tests.lives.life import Life, play
from tests.lives.page import PAGE, lives, page

LIVES = [Life.read(path) for path in lives()]


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Every stage of every life, played beside each other."""
    return list(play(LIVES, tmp_path_factory.mktemp("lives")))


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("life", LIVES, ids=[life.rulebook for life in LIVES])
def test_a_year_in_the_life_of_an_account(told, life):
    own = [one for one in told if one.life is life]
    assert [one.stage for one in own] == list(life.stages)
    for one in own:
        stage = one.stage
        where = f"{life.rulebook}, day {stage.day:g}: {stage.says}"
        standing = (one.standing["status"], one.standing["verdict"], one.standing["access"])
        assert standing == (stage.status, stage.verdict, stage.access), where
        assert (one.events["visible"], one.events["hidden"], one.events["unverified"]) == (
            stage.visible,
            stage.hidden,
            0,
        ), where
        assert one.own == (None if stage.access == "NONE" else {"visible": stage.visible}), where


def test_the_page_of_lives_is_what_is_played():
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m tests.lives writes it anew"
