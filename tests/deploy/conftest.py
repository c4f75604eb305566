from pathlib import Path

import pytest

from gating.datadir import DataDirectory
from gating.gateway import Gateway
from tests.deploy.console import Console


@pytest.fixture
def pixelgate(tmp_path: Path) -> Console:
    """The console script on a data directory that is not there yet."""
    return Console(tmp_path / "data")


@pytest.fixture
def shop(pixelgate: Console) -> Gateway:
    """The console script's data directory with the account `shop`: a process less to start than by the script."""
    gateway = Gateway.open(DataDirectory.open(pixelgate.data))
    gateway.create_account("shop", rulebook="default")
    return gateway
