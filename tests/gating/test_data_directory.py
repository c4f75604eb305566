"""A data directory is made once, by whoever comes first, and nobody who comes with it takes it for a stranger's."""

import multiprocessing
from pathlib import Path

import pytest

from gating.datadir import FORMAT_VERSION, DataDirectory
from gating.errors import DataDirectoryUnknown

AT_ONCE = 4
DIRECTORIES = 150


def opened(root: Path, together) -> list[str]:
    """Open one directory after the other, each in the same moment as all others; what was said where that failed."""
    said = []
    for number in range(DIRECTORIES):
        together.wait(60)
        try:
            DataDirectory.open(root / str(number))
        except DataDirectoryUnknown as error:
            said.append(str(error))
    return said


def test_all_who_open_a_new_directory_at_once_may_use_it(tmp_path):
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, context.Pool(AT_ONCE) as pool:
        together = manager.Barrier(AT_ONCE)
        said = pool.starmap(opened, [(tmp_path, together)] * AT_ONCE)
    assert said == [[]] * AT_ONCE
    assert {(tmp_path / str(n) / "VERSION").read_text() for n in range(DIRECTORIES)} == {f"{FORMAT_VERSION}\n"}


def test_what_another_begins_to_make_or_left_in_the_midst_of_it_is_no_strangers(tmp_path):
    (tmp_path / "VERSION.new4711").write_text("")
    (tmp_path / "locks").mkdir()
    assert DataDirectory.open(tmp_path).version_file.read_text() == f"{FORMAT_VERSION}\n"


def test_a_directory_with_anything_else_in_it_is_named_and_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(DataDirectoryUnknown, match=r"is no Pixelgate data directory \(it holds 'thesis.tex'\)"):
        DataDirectory.open(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
