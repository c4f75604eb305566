"""Fixtures: one server of a kind for the whole run, clean places in it for each test, and a loud line for what is
missing. With CI set a missing server fails its tests instead."""

import os
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest
import redis

from tests.servers.clickhouse import ClickHouseEngine
from tests.servers.kafka import KafkaCluster
from tests.servers.postgres import PostgresServer
from tests.servers.process import ServerMissing
from tests.servers.redis import RedisServer

S = TypeVar("S", bound=Any)
_MISSING: set[str] = set()


def _started(make: Callable[[], S]) -> Iterator[S]:
    try:
        server = make()
    except ServerMissing as missing:
        _MISSING.add(str(missing))
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One Redis that keeps nothing; tests that hurt a server start their own."""
    yield from _started(lambda: RedisServer(tmp_path_factory.mktemp("redis")))


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """One PostgreSQL."""
    yield from _started(lambda: PostgresServer(tmp_path_factory.mktemp("postgres")))


@pytest.fixture(scope="session")
def kafka_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    """One Kafka broker; tests name their topics apart."""
    yield from _started(lambda: KafkaCluster(tmp_path_factory.mktemp("kafka")))


@pytest.fixture(scope="session")
def kafka_three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    """Three brokers, each of which may die: whoever kills one starts it again."""
    yield from _started(lambda: KafkaCluster(tmp_path_factory.mktemp("kafka3"), brokers=3))


@pytest.fixture(scope="session")
def clickhouse_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseEngine]:
    """ClickHouse's engine in this process: no other directory can be opened in it meanwhile."""
    yield from _started(lambda: ClickHouseEngine(tmp_path_factory.mktemp("clickhouse")))


@pytest.fixture
def clickhouse_url(clickhouse_engine: ClickHouseEngine) -> Iterator[str]:
    """An empty database."""
    url = clickhouse_engine.database()
    yield url
    clickhouse_engine.drop(url)


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """An empty Redis."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    """An empty database."""
    return postgres_server.database()


def hand_over_missing(config: pytest.Config) -> None:
    """Of a worker process of the test run: tell the one that reports."""
    if (output := getattr(config, "workeroutput", None)) is not None:
        output["missing_servers"] = sorted(_MISSING)


def take_over_missing(node: Any) -> None:
    """What a worker process told when it ended."""
    _MISSING.update(getattr(node, "workeroutput", {}).get("missing_servers", ()))


def report_missing(reporter: Any) -> None:
    """One loud line a server that could not be had, at the very end."""
    for missing in sorted(_MISSING):
        reporter.write_line(f"SKIPPED FOR WANT OF A SERVER: {missing}", red=True, bold=True)
