"""The servers that tests start are the real ones, and each can be used."""

import asyncio

import psycopg
import redis
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic


def test_redis_answers(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        assert client.info("server")["redis_version"] >= "6.2"


def test_each_test_has_an_empty_postgres_database(postgres_url):
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)


def test_kafka_takes_a_record(kafka_cluster):
    asyncio.run(_one_record(kafka_cluster.bootstrap, replicas=1))


def test_three_brokers_are_one_cluster(kafka_three):
    asyncio.run(_one_record(kafka_three.bootstrap, replicas=3))


async def _one_record(bootstrap, replicas):
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic("smoke", 1, replicas)])
    finally:
        await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", compression_type="zstd")
    await producer.start()
    try:
        assert (await producer.send_and_wait("smoke", b"value")).offset == 0
    finally:
        await producer.stop()
