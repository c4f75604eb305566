from pathlib import Path

import pytest

from tests.deploy.console import Console


@pytest.fixture
def pixelgate(tmp_path: Path) -> Console:
    """The console script on a data directory that is not there yet."""
    return Console(tmp_path / "data")
