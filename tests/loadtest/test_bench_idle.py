"""Idle connections beside a load: all are answered twice, and one that was closed meanwhile is named."""

import resource
import socket
import threading

import pytest

from loadtest.bench.idle import SPARE_FILES, IdleConnections, allow_files
from loadtest.peers.server import ServerFailed

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 43\r\n\r\nGIF89a" + bytes(37)
HEAD = b"GET /p/key.gif HTTP/1.1\r\nHost: a\r\n\r\n"


class Patient:
    """Answers every connection as often as it may: `answers` times each, then closes it."""

    def __init__(self, answers):
        self.answers = answers
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.converse, args=(connection,), daemon=True).start()

    def converse(self, connection):
        with connection:
            for _ in range(self.answers):
                if not connection.recv(65536):
                    return
                connection.sendall(ANSWER)


@pytest.fixture
def patient(request):
    server = Patient(request.param)
    yield server
    server.listener.close()


@pytest.mark.parametrize("patient", [2], indirect=True)
def test_all_idle_connections_are_answered_when_opened_and_again_at_the_end(patient):
    with IdleConnections(patient.port, 20, HEAD) as idle:
        assert idle.answered == 20
        idle.ask_again()
        assert idle.answered == 40


@pytest.mark.parametrize("patient", [1], indirect=True)
def test_a_connection_that_was_closed_meanwhile_is_named(patient):
    with IdleConnections(patient.port, 3, HEAD) as idle, pytest.raises(ServerFailed, match="idle connection 1 of 3"):
        idle.ask_again()


@pytest.mark.parametrize("patient", [0], indirect=True)
def test_a_server_that_answers_none_fails_at_once(patient):
    with pytest.raises(ServerFailed, match="idle connection 1 of 3, answer 1"), IdleConnections(patient.port, 3, HEAD):
        pytest.fail("opened")


def test_more_open_files_than_are_allowed_are_refused_by_their_number():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        pytest.skip("this machine sets no limit")
    with pytest.raises(ServerFailed, match=f"{hard:,} are allowed"):
        allow_files(hard)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft, hard)


def test_open_files_are_allowed_as_far_as_is_needed():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (600, hard))
        allow_files(600)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 600 + SPARE_FILES
        allow_files(1)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 600 + SPARE_FILES
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
