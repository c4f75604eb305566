"""ClickHouse's engine in this process (chDB): one data directory a process, so one for the whole run; a test has a
database of its own. Tests that kill start a process each, with a directory of its own."""

import importlib.util
import itertools
from pathlib import Path

import clickhouse_connect

from tests.servers.process import ServerMissing


class ClickHouseEngine:
    """The engine, kept up by a client of its own: opening it anew for each test would cost a second each."""

    def __init__(self, directory: Path) -> None:
        if importlib.util.find_spec("chdb") is None:
            raise ServerMissing("chdb, ClickHouse's engine, is not installed: pip install pixelgate[chdb]")
        self.directory = directory
        self._numbers = itertools.count(1)

    def start(self) -> None:
        self._client = clickhouse_connect.get_client(dsn=f"chdb://{self.directory}")

    def database(self) -> str:
        """The URL of an empty database."""
        name = f"test_{next(self._numbers)}"
        self._client.command(f"CREATE DATABASE {name}")
        return f"chdb://{self.directory}?database={name}"

    def drop(self, url: str) -> None:
        self._client.command(f"DROP DATABASE {url.rpartition('=')[2]} SYNC")

    def stop(self) -> None:
        self._client.close()
