"""The peers that gate, on real processes: whoever lacks a compiler or nginx sees theirs skipped, by name.

Each is asked directly, without wrk: what is proven is its job, so that the benchmark compares like with like.
"""

import json
import shutil
import tempfile
from pathlib import Path

import pytest

from loadtest.bench.cpu import Cores
from loadtest.heads import heads, made_up_keys
from loadtest.peers.compiled import GoFasthttp, LibrariesMissing, RustHyper, digest
from loadtest.peers.nginx import NginxLua
from loadtest.peers.pixelgate import Accounts, Pixelgate
from loadtest.peers.proxied import PixelgateBehindNginx
from loadtest.peers.server import KEEP_ALIVE, TLS_KEEP_ALIVE, Place, ServerFailed, ask, connect, exchange, is_whole

KEYS = made_up_keys(5, 3)
CORES = Cores.of_this_machine()
FIELDS = [
    *("at", "account", "verdict", "ip", "method", "target", "host", "agent", "referer", "language", "cookie"),
    *("brands", "mobile", "platform", "gpc", "forwarded"),
]
AWKWARD = (
    b"GET /p/%s.gif?u=%%22a%%22&b=\\ HTTP/1.1\r\nHost: px.example.net\r\n"
    b'User-Agent: quoted "agent" with a \\ and a tab\there\r\nSec-CH-UA: "Chromium";v="142"\r\nSec-GPC: 1\r\n'
    b"Cookie: a=b; sid=1\r\nReferer: https://www.example-shop.com/\r\nX-Forwarded-For: 198.51.100.7\r\n\r\n"
) % KEYS[1].encode()


NO_KEY = b"GET /p/.gif HTTP/1.1\r\nHost: px.example.net\r\n\r\n"


def answered(port, head):
    """The answer's lines, names in small letters, without the date."""
    with connect(port) as connection:
        connection.sendall(head)
        received = b""
        while not is_whole(received):
            received += connection.recv(65536)
    start, *lines = received.partition(b"\r\n\r\n")[0].split(b"\r\n")
    named = [line.partition(b":") for line in lines]
    body = received.partition(b"\r\n\r\n")[2]
    return frozenset({start, body, *(n.lower() + b":" + value for n, _, value in named if n.lower() != b"date")})


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix="peer-") as name:  # a Unix address has 107 bytes: pytest's folders lie deep
        yield Path(name)


def made_ready(server, folder):
    """Prepare a peer, or skip with what this machine lacks: a program, or the libraries of a compiler."""
    if lacks := server.missing():
        pytest.skip(f"{server.name}: {lacks}")
    folder.chmod(0o755)  # started as root, nginx's worker becomes another user
    try:
        server.prepare(folder, CORES)
    except LibrariesMissing as error:
        pytest.skip(f"{server.name}: {error}")
    return server


def started(server, folder, scenario=KEEP_ALIVE):
    made_ready(server, folder)
    place = folder / "turn"
    place.mkdir()
    return server.start(Place(place, scenario, CORES))


def gated():
    return [NginxLua(KEYS), GoFasthttp(KEYS), RustHyper(KEYS)]


@pytest.mark.timeout(600)  # a first run compiles
@pytest.mark.parametrize("server", gated(), ids=lambda server: server.name)
def test_a_peer_keeps_every_hit_of_a_known_key_and_answers_an_unknown_one_alike_without_keeping_it(server, folder):
    running = started(server, folder)
    try:
        known, unknown = heads(1, 40, KEYS), heads(1, 5, made_up_keys(6, 1))
        with connect(running.port) as connection:
            for head in (*known, *unknown):
                exchange(connection, head)
        for head in (AWKWARD, NO_KEY, heads(1, 1, KEYS, close=True)[0]):
            ask(running.port, head)
        answers = {answered(running.port, head) for head in (known[0], unknown[0], NO_KEY)}
    finally:
        running.stop()
    assert len(answers) == 1
    assert {b"content-type: image/gif", b"cache-control: no-store, no-cache, must-revalidate, private"} < min(answers)
    assert running.kept() == 40 + 1 + 1 + 1


@pytest.mark.timeout(600)
@pytest.mark.parametrize("server", gated(), ids=lambda server: server.name)
def test_a_peers_line_holds_what_the_head_said(server, folder):
    """The same fields in the same order for each, whatever a head contains."""
    running = started(server, folder)
    try:
        ask(running.port, AWKWARD)
    finally:
        running.stop()
    (line,) = (folder / "turn" / "hits.json").read_text().splitlines()
    kept = json.loads(line)
    assert list(kept) == FIELDS
    assert kept.pop("at") > 1_700_000_000
    assert kept == {
        "account": "account-1",
        "verdict": "ACCEPT",
        "ip": "127.0.0.1",
        "method": "GET",
        "target": f"/p/{KEYS[1]}.gif?u=%22a%22&b=\\",
        "host": "px.example.net",
        "agent": 'quoted "agent" with a \\ and a tab\there',
        "referer": "https://www.example-shop.com/",
        "language": "",
        "cookie": "a=b; sid=1",
        "brands": '"Chromium";v="142"',
        "mobile": "",
        "platform": "",
        "gpc": "1",
        "forwarded": "198.51.100.7",
    }


def over_tls(folder):
    ours = Accounts(3, folder / "ledgers")
    return [
        NginxLua(KEYS, tls=True, name="nginx-lua-tls"),
        Pixelgate(ours, "process", "pixelgate-tls", tls=True),
        PixelgateBehindNginx(ours, "pixelgate-behind-nginx"),
    ]


@pytest.mark.parametrize("at", range(3), ids=["nginx-lua-tls", "pixelgate-tls", "pixelgate-behind-nginx"])
def test_over_tls_each_keeps_what_it_answered_and_plain_text_gets_no_pixel(at, folder):
    server = over_tls(folder)[at]
    running = started(server, folder, TLS_KEEP_ALIVE)
    try:
        with connect(running.port, tls=True) as connection:
            for head in heads(1, 20, server.keys):
                exchange(connection, head)
        ask(running.port, heads(1, 1, server.keys, close=True)[0], tls=True)
        ask(running.port, heads(1, 1, made_up_keys(6, 1))[0], tls=True)
        with pytest.raises((ServerFailed, OSError)):
            ask(running.port, heads(1, 1, server.keys)[0])
    finally:
        running.stop()
    assert running.kept() == 21
    assert running.process.poll() is not None
    assert running.front is None or running.front.poll() is not None


def test_two_workers_keep_what_both_answered(folder):
    running = started(Pixelgate(Accounts(3, folder / "ledgers"), "process", "two", workers=2), folder)
    keys = (folder / "ledgers" / "bulk-3" / "keys").read_text().split()
    try:
        for head in heads(1, 20, keys):
            ask(running.port, head)
    finally:
        running.stop()
    assert running.kept() == 20
    assert len([path for path in (folder / "turn" / "data" / "journals").iterdir() if path.is_dir()]) == 2


def test_a_large_ledger_is_opened_where_it_lies_and_a_small_one_is_copied(folder, monkeypatch):
    accounts = Accounts(3, folder / "ledgers")
    accounts.make()
    accounts.copy(folder / "copied")
    monkeypatch.setattr("loadtest.peers.pixelgate.COPY_BYTES_MAX", 1)
    accounts.copy(folder / "linked")
    assert not (folder / "copied" / "ledger.sqlite").is_symlink()
    assert (folder / "linked" / "ledger.sqlite").resolve() == (
        folder / "ledgers" / "bulk-3" / "ledger.sqlite"
    ).resolve()


@pytest.mark.parametrize("peer", [GoFasthttp, RustHyper])
def test_without_its_compiler_a_peer_says_so_and_with_what_was_built_before_it_needs_none(peer, folder, monkeypatch):
    monkeypatch.setenv("PATH", str(folder))
    server = peer(KEYS, folder)
    assert server.missing() == f"{server.compiler} is not installed"
    (folder / f"{server.name}-{digest(server.sources)}").touch()
    assert peer(KEYS, folder).missing() is None


@pytest.mark.timeout(600)
def test_what_does_not_compile_is_refused_with_the_compilers_words_and_leaves_nothing(folder, monkeypatch):
    """With Go, which compiles sooner; Rust goes the same way."""
    if shutil.which("go") is None:
        pytest.skip("go is not installed")
    broken = folder / "broken"
    shutil.copytree(GoFasthttp.sources, broken)
    (broken / "gate" / "gate.go").write_text("package gate\nthis is no Go\n")
    monkeypatch.setattr(GoFasthttp, "sources", broken)
    server = GoFasthttp(KEYS, folder / "builds")
    with pytest.raises(ServerFailed, match="exited") as refused:
        server.prepare(folder, CORES)
    if isinstance(refused.value, LibrariesMissing):
        pytest.skip(f"{server.name}: {refused.value}")
    assert list((folder / "builds").iterdir()) == []


def test_a_compiler_that_is_too_old_is_named_by_both_versions(folder, monkeypatch):
    cargo = folder / "cargo"
    cargo.write_text("#!/bin/sh\necho cargo 1.63.1\n")
    cargo.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    with pytest.raises(LibrariesMissing, match=r"cargo 1\.63\.1 .* 1\.85"):
        RustHyper(KEYS, folder / "builds").prepare(folder, CORES)


def test_a_program_is_named_by_its_sources(folder):
    shutil.copytree(GoFasthttp.sources, folder / "sources")
    before = digest(folder / "sources")
    assert before == digest(GoFasthttp.sources)
    with (folder / "sources" / "file" / "main.go").open("a") as file:
        file.write("// changed\n")
    assert digest(folder / "sources") != before
