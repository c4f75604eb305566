"""Every test here may have a data directory of its own, and no process but the test's."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.consumers.house import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path / "data")
    yield house
    house.close()
