"""`doctor`'s look at Kafka, at real brokers."""

import asyncio

from collector.publisher.topics import Admin, ensure
from deploy.doctor import FAIL, OK, WARN
from deploy.doctor_kafka import kafka
from tests.collector.publisher.kit import topics
from tests.processes import free_port


def test_a_cluster_that_keeps_what_was_promised_is_well(kafka_three):
    names = topics()
    asyncio.run(ensure(kafka_three.bootstrap, names, 2))
    check = kafka(kafka_three.bootstrap, names)
    assert (check.result, check.advice) == (OK, "")
    assert "3 broker(s) of release 4.0 or later" in check.found
    assert f"{names.events}: 2 partitions, 3 replica(s), min.insync.replicas 2, kept 168 h" in check.found


def test_one_replica_and_a_short_memory_are_doubtful(kafka_cluster):
    names = topics()

    async def make():
        async with Admin(kafka_cluster.bootstrap) as admin:
            await admin.create(names.events, 1, {"retention.ms": "3600000"})

    asyncio.run(make())
    check = kafka(kafka_cluster.bootstrap, names)
    assert check.result == WARN
    assert "one replica" in check.advice
    assert "keeps events for 1 h" in check.advice
    assert "`pixelgate publisher` creates them" in check.advice


def test_a_kafka_that_is_not_there_is_told_with_what_to_do():
    check = kafka(f"127.0.0.1:{free_port()}")
    assert check.result == FAIL
    assert "KAFKA_BOOTSTRAP" in check.advice
