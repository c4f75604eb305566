"""New connections that queue are taken by more descriptors, and by few again once nobody waits."""

import os
import re
import signal
import socket
import time
from pathlib import Path

import pytest

from collector.listening import ACCEPTS_MAX, ACCEPTS_MIN, LOOK_SECONDS, queued
from tests.eventually import eventually
from tests.processes import collector, free_port

HEAD = b"GET /p/nobody.gif HTTP/1.1\r\nHost: px.example.net\r\n\r\n"
CROWD = 300


@pytest.fixture
def worker(tmp_path):
    port = free_port()
    with collector(tmp_path / "data", tmp_path / "log", port) as process:
        process.port = port
        eventually(lambda: descriptors(process) == ACCEPTS_MIN)
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(HEAD)
            assert b"GIF89a" in answer(connection)  # it accepts before it has started, and looks only then
        yield process


def descriptors(process):
    """How many of a process's descriptors are the socket that listens on its port."""
    listening = f"0100007F:{process.port:04X} 00000000:0000 0A"
    (row,) = [line for line in Path("/proc/net/tcp").read_text().splitlines() if listening in line]
    inode = f"socket:[{row.split()[9]}]"
    held = 0
    for name in os.listdir(f"/proc/{process.pid}/fd"):
        try:
            held += os.readlink(f"/proc/{process.pid}/fd/{name}") == inode
        except FileNotFoundError:
            continue
    return held


def queue_up(process):
    """Connections with a hit each, all of which wait when the worker next looks: it is frozen for longer than that."""
    process.signal(signal.SIGSTOP)
    frozen_at = time.monotonic()
    crowd = [socket.create_connection(("127.0.0.1", process.port), timeout=20) for _ in range(CROWD)]
    for connection in crowd:
        connection.sendall(HEAD)
    eventually(lambda: time.monotonic() - frozen_at > 2 * LOOK_SECONDS)
    process.signal(signal.SIGCONT)
    return crowd


def answer(connection):
    told = b""
    while not told.endswith(b";"):
        chunk = connection.recv(65536)
        assert chunk, told
        told += chunk
    return told


def test_a_crowd_that_queues_is_answered_and_has_more_descriptors_until_nobody_waits(worker):
    crowd = queue_up(worker)
    eventually(lambda: descriptors(worker) == ACCEPTS_MAX)
    for connection in crowd:
        assert answer(connection).startswith(b"HTTP/1.1 200 OK\r\n")
        connection.sendall(HEAD)
    assert all(b"GIF89a" in answer(connection) for connection in crowd)
    eventually(lambda: descriptors(worker) == ACCEPTS_MIN)
    for connection in crowd:  # who was taken by a descriptor that is closed now stays
        connection.sendall(HEAD)
        assert b"GIF89a" in answer(connection)
        connection.close()
    assert worker.stop() == 0


def test_a_worker_stops_while_a_crowd_has_its_descriptors(worker):
    crowd = queue_up(worker)
    eventually(lambda: descriptors(worker) == ACCEPTS_MAX)
    assert worker.stop() == 0
    assert not re.search(r"ERROR|Traceback", worker.log)
    for connection in crowd:
        connection.close()


def test_the_kernel_tells_how_many_wait():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert queued(listener) == 0
        crowd = [socket.create_connection(listener.getsockname()) for _ in range(5)]
        eventually(lambda: queued(listener) == 5)
        listener.accept()[0].close()
        assert queued(listener) == 4
        for connection in crowd:
            connection.close()
    with socket.socketpair()[0] as stranger:
        assert queued(stranger) == 0
