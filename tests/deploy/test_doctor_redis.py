"""`doctor` on Redis: what it says of a good one, a bad one, and one that is not there."""

from dataclasses import replace

import pytest

from deploy.doctor_redis import Facts, assess, redis
from tests.processes import free_port
from tests.servers import RedisServer

GOOD = Facts((7, 0), "master", "noeviction", 10, 0, loading=False, skew_seconds=0.01)


def test_a_good_server_needs_no_advice(redis_url):
    check = redis(redis_url)
    assert (check.result, check.advice) == ("ok", "")
    assert "noeviction" in check.found


@pytest.mark.parametrize(
    ("fault", "result", "advice"),
    [
        ({"version": (6, 0)}, "fail", "upgrade"),
        ({"role": "slave"}, "fail", "replica"),
        ({"policy": "allkeys-lru", "maxmemory_bytes": 1000}, "fail", "noeviction"),
        ({"used_bytes": 900, "maxmemory_bytes": 1000}, "warn", "90 %"),
        ({"loading": True}, "warn", "loading"),
        ({"skew_seconds": -3.0}, "warn", "NTP"),
    ],
)
def test_each_fault_has_its_advice(fault, result, advice):
    check = assess(replace(GOOD, **fault))
    assert check.result == result
    assert advice in check.advice


def test_a_server_that_evicts_is_found_out(tmp_path):
    server = RedisServer(tmp_path / "redis", "--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru")
    try:
        server.start()
        assert "noeviction" in redis(server.url).advice
    finally:
        server.stop()


@pytest.mark.parametrize("url", ["redis://user:secret@127.0.0.1:{}/0", "http://user:secret@127.0.0.1:{}"])
def test_one_that_is_not_there_fails_in_one_line_without_the_password(url):
    check = redis(url.format(free_port()))
    assert check.result == "fail"
    assert "secret" not in check.found + check.advice
    assert "\n" not in check.found
