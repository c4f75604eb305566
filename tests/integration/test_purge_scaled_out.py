"""I12 over hosts and engines: a deleted account's receipt waits for Kafka's retention, and all files are searched."""

import os
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from tests.consumers.test_purge import files_with, mark, rows_with
from tests.eventually import eventually
from tests.kafka import admin, delete_topics
from tests.processes import answers
from tests.scaled_out import Site
from tests.servers import KafkaCluster

EVENTS = ("pixel.events", "pixel.hidden")
SETTLED = ("--settled", "60")


@dataclass
class Shared:
    """The run's own servers, as a site wants them; events end up in the center's DuckDB file."""

    settings: dict[str, str]
    folder: Path


@pytest.fixture
def kafka(tmp_path):
    """A broker that looks each second for what is past its retention; others look every five minutes."""
    quick = {"log_retention_check_interval_ms": "1000", "log_initial_task_delay_ms": "1000"}
    cluster = KafkaCluster(tmp_path / "kafka", **quick)
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture
async def site(tmp_path, redis_url, postgres_url, kafka):
    settings = {
        "redis_url": redis_url,
        "kafka_bootstrap": kafka.bootstrap,
        "database_url": postgres_url,
        "kafka_compression": "none",  # so that a search of the log's bytes finds what is there
    }
    yield Site(tmp_path, Shared(settings, tmp_path), hosts=1)
    async with admin(kafka.bootstrap) as client:
        made = [topic for topic in await client.list_topics() if topic.startswith("pixel.")]
    await delete_topics(kafka.bootstrap, *made)


def fire(site, key, visitor):
    with urllib.request.urlopen(f"http://127.0.0.1:{site.ports[0]}/p/{key}.gif?v={visitor}", timeout=10) as answer:
        assert answer.status == 200


async def keep_briefly(bootstrap):
    """What an operator sets who wants receipts soon: two seconds instead of days."""
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    terms = {"retention.ms": "2000", "segment.ms": "2000", "file.delete.delay.ms": "500"}
    await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, terms) for name in EVENTS])
    await client.close()


@pytest.mark.skipif(os.environ.get("PIXELGATE_FAULTS") != "long", reason="over a minute: `make faults` runs it")
@pytest.mark.timeout(300)
async def test_a_deleted_account_is_found_nowhere_once_kafkas_retention_has_passed(site, kafka, postgres_url):
    """Gating and consumer are killed (SIGKILL) on the way to the receipt; another account loses nothing."""
    marker, other, word = mark(), mark(), mark()
    with site.running():
        key = site.json("account", "create", "--id", "gone", "--rulebook", "clickport")["write_key"]
        stays = site.json("account", "create", "--id", "stays", "--rulebook", "clickport")["write_key"]
        for _ in range(5):
            fire(site, key, marker)
        fire(site, stays, other)
        assert site.json("report", "gone", *SETTLED)["events"]["visible"] == 5
        broker = kafka.brokers[0].folder
        assert files_with(broker, marker)
        assert files_with(site.center, marker)
        site.json("account", "do", "gone", "request_deletion", "--as", "owner", "--confirm", "--set", f"note={word}")
        site.json("account", "do", "gone", "answer", "--as", "support")
        confirm = ("confirm_deletion", "--as", "support", "--for", "owner", "--set", f"reply={word}")
        assert site.json("account", "do", "gone", *confirm)["to"] == "DELETED"
        assert rows_with(postgres_url, word)
        restart(site, "gating")
        collector = next(role for role in site.roles if role.name == "collector")
        collector.stop()  # its journal ends: a live one goes on in another segment after a minute
        site.roles.remove(collector)
        eventually(lambda: "kafka" in site.json("account", "receipt", "gone")["waits_for"], 60)
        restart(site, "consumer materialise")
        assert files_with(broker, marker)
        await keep_briefly(kafka.bootstrap)
        eventually(lambda: site.json("account", "receipt", "gone")["purged_at"], 90)
        receipt = site.json("account", "receipt", "gone")
        found = {row["store"].partition(" ")[0]: (row["found"], row["left"]) for row in receipt["stores"]}
        assert (found["warehouse"], found["kafka"]) == ((5, 0), (0, 0))
        assert site.json("report", "stays", *SETTLED)["events"]["visible"] == 1
    for folder in (site.center, *site.hosts, broker):
        assert [*files_with(folder, marker), *files_with(folder, word)] == []
    assert rows_with(postgres_url, marker, word) == []
    assert files_with(site.center, other)


def restart(site, name):
    """SIGKILL, and the role again on the same directory."""
    old = next(role for role in site.roles if role.name == name)
    place = site.roles.index(old)
    old.kill()
    arguments = ("--admin-port", str(site.admin_port)) if name == "gating" else ()
    socket = "gating.sock" if name == "gating" else "consumer.sock"
    role = site._role(name, site.center, *arguments)
    site.roles.remove(role)
    site.roles[place] = role
    eventually(lambda: role.must_live() and answers(site.center / socket), 60)
