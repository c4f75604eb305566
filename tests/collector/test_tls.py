"""The public port by TLS: the same pixels, a certificate renewed while it serves, bad files told at once."""

import asyncio
import contextlib
import shutil
import socket
import ssl
import subprocess

import pytest

from collector import tls
from collector.errors import SettingInvalid
from collector.journal import journals, show
from gating.datadir import DataDirectory
from tests.eventually import eventually
from tests.processes import collector, free_port

HEAD = b"GET /p/nobody.gif?e=%d HTTP/1.1\r\nHost: px.example.net\r\n\r\n"


def make(folder, name, *, passphrase=None):
    """(certificate, key) for 127.0.0.1, self-made."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: it makes the test's certificate")
    folder.mkdir(exist_ok=True)
    key, file = folder / f"{name}.key", folder / f"{name}.pem"
    subject = ("-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1")
    kind = ("-newkey", "rsa:2048", *(("-passout", f"pass:{passphrase}") if passphrase else ("-nodes",)))
    subprocess.run(
        ["openssl", "req", "-x509", *kind, "-days", "2", *subject, "-keyout", key, "-out", file],
        check=True, capture_output=True,
    )  # fmt: skip
    return file, key


def put(pair, folder):
    """Put a certificate and its key where a worker reads them, each whole at once."""
    folder.mkdir(exist_ok=True)
    for source, name in zip(pair, ("site.pem", "site.key"), strict=True):
        shutil.copy(source, folder / f"{name}.new")
        (folder / f"{name}.new").rename(folder / name)
    return folder / "site.pem", folder / "site.key"


@contextlib.contextmanager
def connected(port, authority, version=None):
    context = ssl.create_default_context(cafile=authority)
    context.set_alpn_protocols(["h2", "http/1.1"])
    if version is not None:
        context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        yield connection


def fire(connection, number):
    connection.sendall(HEAD % number)
    answer = b""
    while b"GIF89a" not in answer or not answer.endswith(b";"):
        chunk = connection.recv(65536)
        assert chunk, answer
        answer += chunk
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    return answer


@pytest.fixture
def worker(tmp_path):
    """A worker that speaks TLS; no gating service, so every hit is kept unverified."""
    pair = put(make(tmp_path / "made", "first"), tmp_path / "tls")
    port = free_port()
    settings = {"tls_certificate": pair[0], "tls_key": pair[1]}
    with collector(tmp_path / "data", tmp_path / "log", port, **settings) as process:
        process.port, process.pair = port, pair
        yield process


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_pixels_are_answered_and_kept_by_tls(worker, tmp_path, version):
    with connected(worker.port, worker.pair[0], version) as connection:
        assert connection.selected_alpn_protocol() == "http/1.1"
        for number in range(20):
            fire(connection, number)
    (journal,) = journals(DataDirectory.open(tmp_path / "data").journals)
    kept = [record for record in show(journal.path) if b"/p/nobody.gif?e=" in record.head]
    assert [record.head for record in kept][-20:] == [HEAD % number for number in range(20)]


def test_old_versions_of_tls_are_refused(worker):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # else the client itself does not offer it
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    address = ("127.0.0.1", worker.port)
    with socket.create_connection(address, timeout=20) as plain, pytest.raises(OSError, match=r"(?i)alert|eof"):
        context.wrap_socket(plain)


def test_a_renewed_certificate_is_offered_without_a_restart_and_old_connections_go_on(worker, tmp_path):
    first = tmp_path / "made" / "first.pem"
    with connected(worker.port, first) as old:
        fire(old, 1)
        renewed = make(tmp_path / "made", "second")
        put(renewed, tmp_path / "tls")

        def offered():
            with contextlib.suppress(ssl.SSLError), connected(worker.port, renewed[0]) as connection:
                return bool(fire(connection, 2))
            return False

        eventually(offered)
        with pytest.raises(ssl.SSLCertVerificationError), connected(worker.port, first):
            pass  # who trusts the first alone is offered it no more
        assert b"GIF89a" in fire(old, 3)
    (journal,) = journals(DataDirectory.open(tmp_path / "data").journals)  # one start, one journal
    kept = [record.head for record in show(journal.path)]
    assert [kept.count(HEAD % number) for number in (1, 2, 3)] == [1, 1, 1]


def test_a_renewal_that_does_not_fit_its_key_is_told_and_the_old_certificate_goes_on(worker, tmp_path):
    other = make(tmp_path / "made", "other")
    shutil.copy(other[0], tmp_path / "tls" / "site.pem")
    eventually(lambda: "cannot be used: KEY_VALUES_MISMATCH; the one before it goes on" in worker.log)
    with connected(worker.port, tmp_path / "made" / "first.pem") as connection:
        fire(connection, 1)
    assert worker.log.count("KEY_VALUES_MISMATCH") == 1


def bad(folder):
    good, other = make(folder, "good"), make(folder, "other")
    garbage = folder / "garbage.pem"
    garbage.write_text("-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n")
    locked = make(folder, "locked", passphrase="open sesame")
    missing = folder / "missing.pem"
    refused = f"PIXELGATE_TLS_CERTIFICATE: {good[0]} cannot be used: "
    return {
        "no file": ((missing, good[1]), f"PIXELGATE_TLS_CERTIFICATE: {missing} is no file"),
        "no key file": ((good[0], missing), f"PIXELGATE_TLS_KEY: {missing} is no file"),
        "another's key": ((good[0], other[1]), refused + "KEY_VALUES_MISMATCH"),
        "garbage": ((garbage, good[1]), f"PIXELGATE_TLS_CERTIFICATE: {garbage} cannot be used: "),
        "no key at all": ((good[0], None), refused),
        "a passphrase": (locked, f"PIXELGATE_TLS_CERTIFICATE: {locked[0]} cannot be used: its key has a passphrase"),
        "a key alone": ((None, good[1]), "PIXELGATE_TLS_KEY: a key without a certificate"),
    }


def test_files_that_cannot_serve_are_named_before_anything_runs(tmp_path):
    for (certificate, key), told in bad(tmp_path).values():
        with pytest.raises(SettingInvalid) as caught:
            tls.certificate_of(certificate, key)
        assert str(caught.value).startswith(told)
        assert "\n" not in str(caught.value)
        assert "sesame" not in str(caught.value)


def test_a_worker_without_a_certificate_speaks_plain_http():
    assert tls.certificate_of(None, None) is None


def test_one_file_may_hold_both(tmp_path):
    certificate, key = make(tmp_path, "one")
    both = tmp_path / "both.pem"
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    assert tls.certificate_of(both, None) is not None


def test_who_never_shakes_hands_is_let_go(tmp_path, monkeypatch):
    """Connections in a handshake are not counted among the capped ones, so their time is short."""
    monkeypatch.setattr(tls, "HANDSHAKE_SECONDS", 0.2)

    async def held():
        loop = asyncio.get_running_loop()
        certificate = tls.Certificate(*make(tmp_path, "one"))
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0, ssl=certificate.context)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        async with asyncio.timeout(20):  # uvloop's own time is 60 s
            assert await reader.read() == b""
        writer.close()
        server.close()

    with asyncio.Runner(loop_factory=tls.Loop) as runner:
        runner.run(held())
