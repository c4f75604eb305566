"""I4: every hit has exactly one counted outcome, and /metrics shows them sum to the hits once idle."""

import re
import socket
import urllib.request

import pytest

from tests.eventually import eventually
from tests.system import System


@pytest.fixture
def system(tmp_path):
    system = System(tmp_path)
    with system.running():
        yield system


def samples(system):
    """(outcome, reason) -> hits, as a scrape of the admin port has it."""
    with urllib.request.urlopen(f"http://127.0.0.1:{system.admin_port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found = re.findall(r'^pixelgate_hits_total\{outcome="(\w+)",reason="(\w*)"\} (\S+)$', text, re.MULTILINE)
    return {(outcome, reason): int(float(value)) for outcome, reason, value in found}


def ask(system, request):
    """One request on a connection of its own; the status it was answered with."""
    with socket.create_connection(("127.0.0.1", system.port), timeout=10) as client:
        client.sendall(request)
        return int(client.recv(65536).split(b" ")[1])


def pixel(path):
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()


def batch(key, count):
    events = ",".join(['{"name":"b"}'] * count)
    body = f'{{"write_key":"{key}","events":[{events}]}}'.encode()
    return b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def test_every_hit_is_counted_once_under_what_became_of_it(system):
    """I4, whichever worker the kernel gave the connection to."""
    shop = system.json("account", "create", "--id", "shop", "--rulebook", "default")["write_key"]
    paused = system.json("account", "create", "--id", "paused", "--rulebook", "default")["write_key"]
    gone = system.json("account", "create", "--id", "gone", "--rulebook", "default")["write_key"]
    old = system.json("key", "rotate", "shop")["revoked"]
    shop = system.json("key", "list", "shop")[-1]["write_key"]
    system.cli("account", "do", "paused", "pause")
    system.cli("account", "do", "gone", "cancel")
    before = samples(system)
    sent = [
        *[(pixel(f"/p/{shop}.gif?n={n}"), 200) for n in range(20)],
        *[(pixel(f"/p/{paused}.gif"), 200)] * 7,
        *[(pixel(f"/p/{gone}.gif"), 200)] * 5,
        *[(pixel(f"/p/{old}.gif"), 200)] * 4,
        *[(pixel("/p/nobody.gif"), 200)] * 3,
        *[(pixel("/p.gif"), 200)] * 2,
        (batch(shop, 10), 202),
        (batch(paused, 6), 202),
        (b"GET /p/x.gif HTTP/1.1\r\n\r\n", 400),  # no Host
        (b"nonsense\r\n\r\n", 400),
        (pixel("/nothing"), 404),  # no hit
        (pixel("/health/live"), 200),  # no hit
    ]
    assert [ask(system, request) for request, _ in sent] == [status for _, status in sent]
    expected = {
        ("accepted", ""): 30, ("hidden", ""): 13, ("dropped", "status"): 5, ("dropped", "revoked_key"): 4,
        ("dropped", "unknown_key"): 3, ("dropped", "no_key"): 2, ("malformed", ""): 2, ("overflow", ""): 0,
        ("hidden", "unverified"): 0,
    }  # fmt: skip
    eventually(lambda: sum(samples(system).values()) - sum(before.values()) == sum(expected.values()))
    after = samples(system)
    assert {label: after[label] - before.get(label, 0) for label in after} == expected
    system.cli("report", "shop", "--settled", "20")
    assert system.json("verify")["ok"]
