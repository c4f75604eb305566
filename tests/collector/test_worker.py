"""A worker serves while its map is still being loaded, and ends where following it fails for good."""

import asyncio

import pytest

from collector.config import CollectorSettings
from collector.worker import Worker, _running
from gating.datadir import DataDirectory
from tests.eventually import aeventually
from tests.processes import free_port


class Feed:
    """A load that takes until it is told otherwise."""

    def __init__(self, error=None):
        self.may_end, self.followed, self.error = asyncio.Event(), asyncio.Event(), error

    async def load(self):
        await self.may_end.wait()
        if self.error is not None:
            raise self.error

    async def run(self):
        self.followed.set()
        await asyncio.Event().wait()


@pytest.fixture
async def worker(tmp_path):
    settings = CollectorSettings(data=tmp_path / "data", host="127.0.0.1", port=free_port())
    worker = Worker(settings, DataDirectory.open(settings.data), asyncio.Event())
    yield worker
    worker.journal.close()


async def test_a_worker_serves_while_a_large_map_is_loaded_and_says_that_it_has_none(worker):
    """A cold load never stalls answers: hits are kept unverified meanwhile."""
    worker.feed = feed = Feed()
    async with _running(worker):
        assert not feed.followed.is_set()
        assert any("no map" in reason for reason in worker.not_ready())
        feed.may_end.set()
        await aeventually(feed.followed.is_set)


async def test_a_worker_whose_map_is_loaded_at_once_serves_with_it(worker):
    worker.feed = feed = Feed()
    feed.may_end.set()
    async with _running(worker):
        assert feed.followed.is_set()


async def test_a_bug_in_the_feed_ends_the_worker_with_its_error(worker):
    worker.feed = feed = Feed(RuntimeError("a bug"))
    feed.may_end.set()
    async with _running(worker):
        await aeventually(worker._stopped.is_set)
        assert worker.fatal is feed.error
