"""REDIS_URL: every form of it opened, and every fault in it told without its password."""

import shutil
import subprocess

import pytest
import redis
from redis.exceptions import AuthenticationError, RedisError

from gating.errors import InputInvalid
from gating.redis_client import RedisPlace, open_redis
from gating.redis_line import Line
from tests.servers.process import ServerMissing
from tests.servers.redis import RedisServer

SECRET = "s3cret"


@pytest.mark.parametrize(
    ("url", "hosts", "service", "tls", "login"),
    [
        ("redis://localhost", (("localhost", 6379),), None, False, (None, None, 0)),
        ("redis://h:1234/5", (("h", 1234),), None, False, (None, None, 5)),
        ("redis://:p%40ss@h", (("h", 6379),), None, False, (None, "p@ss", 0)),
        ("redis://us%3Aer:p%2Fw@[::1]:7/2", (("::1", 7),), None, False, ("us:er", "p/w", 2)),
        ("rediss://u:p@h:1/0?ssl_ca_certs=/ca.pem", (("h", 1),), None, True, ("u", "p", 0)),
        ("redis+sentinel://u:p@a,b:2,[::1]:3/m", (("a", 26379), ("b", 2), ("::1", 3)), "m", False, ("u", "p", 0)),
        ("rediss+sentinel://a/m/4?sentinel_password=x", (("a", 26379),), "m", True, (None, None, 4)),
    ],
)  # fmt: skip
def test_a_url_says_where_redis_is(url, hosts, service, tls, login):
    place = RedisPlace.parse(url)
    assert (place.hosts, place.service, place.tls) == (hosts, service, tls)
    assert (place.login["username"], place.login["password"], place.login["db"]) == login


@pytest.mark.parametrize(
    "url",
    [
        f"http://u:{SECRET}@h",
        f"redis:u:{SECRET}@h",
        f"redis://u:{SECRET}@h:port/0",
        f"redis://u:{SECRET}@h:99999/0",
        f"redis://u:{SECRET}@/0",
        f"redis://u:{SECRET}@a,b/0",
        f"redis://u:{SECRET}@h/zero",
        f"redis://u:{SECRET}@h/0/more",
        f"redis://u:{SECRET}@h/0?ssl_ca_certs=/ca.pem",
        f"redis://u:{SECRET}@h/0?protocol=3",
        f"rediss://u:{SECRET}@h/0?ssl_no_such_thing=1",
        f"rediss://u:{SECRET}@h/0?ssl_cert_reqs=whatever",
        f"redis+sentinel://u:{SECRET}@h:1",
        f"redis+sentinel://u:{SECRET}@[::1/m",
        SECRET,
        "",
    ],
)
def test_a_url_that_does_not_read_is_told_without_its_password(url):
    with pytest.raises(InputInvalid) as told:
        open_redis(url)
    assert SECRET not in str(told.value)
    assert "\n" not in str(told.value)


def test_a_place_does_not_show_its_passwords():
    place = RedisPlace.parse(f"rediss+sentinel://u:{SECRET}@h/m?sentinel_password={SECRET}")
    assert SECRET not in repr(place)


@pytest.fixture
def behind_tls(tmp_path):
    """A server that speaks TLS alone, and the certificate that vouches for it."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: it makes the test's certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    made = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject)
    subprocess.run([*made, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    try:
        server = RedisServer(tmp_path / "redis")
    except ServerMissing as missing:
        pytest.skip(str(missing))
    server._command += ["--port", "0", "--tls-port", str(server.port), "--tls-auth-clients", "no"]
    server._command += ["--tls-cert-file", str(certificate), "--tls-key-file", str(key), "--requirepass", SECRET]
    server.start()
    yield server.port, certificate
    server.stop()


async def answered(url):
    client = open_redis(url)
    line = Line(client)
    try:
        await line.connect()
        return await line.call("PING")
    finally:
        await line.close()
        await client.aclose()


async def test_tls_is_spoken_and_the_servers_certificate_checked(behind_tls):
    """DESIGN 10"""
    port, certificate = behind_tls
    assert await answered(f"rediss://:{SECRET}@localhost:{port}/0?ssl_ca_certs={certificate}") == b"PONG"
    with pytest.raises(RedisError):  # nobody vouches for it
        await answered(f"rediss://:{SECRET}@localhost:{port}/0")
    with pytest.raises(RedisError):  # it is not who it should be
        await answered(f"rediss://:{SECRET}@127.0.0.2:{port}/0?ssl_ca_certs={certificate}")
    with pytest.raises(RedisError):
        await answered(f"redis://:{SECRET}@localhost:{port}/0")


async def test_a_wrong_password_is_told_without_it(behind_tls):
    port, certificate = behind_tls
    with pytest.raises(AuthenticationError) as told:
        await answered(f"rediss://:not-{SECRET}@localhost:{port}/0?ssl_ca_certs={certificate}")
    assert SECRET not in str(told.value)


async def test_the_database_that_the_url_names_is_used(redis_url):
    third_url = redis_url.removesuffix("0") + "3"
    line = Line(open_redis(third_url))
    await line.connect()
    await line.call("SET", "here", "1")
    await line.close()
    with redis.Redis.from_url(third_url) as third:
        assert third.get("here") == b"1"


async def test_a_line_that_broke_stays_broken(redis_url):
    """What came before a break and what comes after it did not reach the same server."""
    line = Line(open_redis(redis_url))
    await line.connect()
    with redis.Redis.from_url(redis_url) as server:
        server.client_kill_filter(_type="normal", skipme=True)
    for _ in range(2):
        with pytest.raises(RedisError):
            await line.call("PING")
    assert not line.connected


async def test_a_reply_that_is_an_error_breaks_no_line(redis_url):
    line = Line(open_redis(redis_url))
    await line.connect()
    replies = await line.calls([("SET", "text", "1"), ("HGET", "text", "x"), ("GET", "text")])
    assert (replies[0], replies[2]) == (b"OK", b"1")
    assert "WRONGTYPE" in str(replies[1])
    assert await line.call("PING") == b"PONG"
    await line.close()
