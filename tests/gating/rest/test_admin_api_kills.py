"""A repeated key causes no second flip, whatever was killed between the first one's commit and its answer."""

import contextlib
import signal
import threading

import httpx

from tests.eventually import eventually
from tests.gating.rest.served import serving
from tests.processes import collector, free_port

KEY = {"Idempotency-Key": "one-flip"}


@contextlib.contextmanager
def frozen_worker(served, tmp_path):
    """A worker that holds a lease and reports no more: a flip is committed, its answer waits for the lease's end."""
    with collector(served.data, tmp_path / "worker.log", free_port()) as worker:
        eventually(lambda: served.metric("pixelgate_workers_leased") == 1, 20)
        worker.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            worker.signal(signal.SIGCONT)


def in_background(client, path, answers):
    def ask():
        try:
            answers.append(client.post(path, json={}, headers=KEY))
        except httpx.HTTPError as error:
            answers.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    return thread


def commands(client, account):
    return [row["command"] for row in client.ok("GET", f"/accounts/{account}/history")["items"]]


def test_a_repeated_key_flips_nothing_again_after_a_kill_between_commit_and_answer(tmp_path):
    data, port = tmp_path / "data", free_port()
    with serving(data, port) as served:
        account, secret = served.account(), served.token()["token"]
        client = served.client(secret)
        path, answers = f"/accounts/{account}/commands/pause", []
        with frozen_worker(served, tmp_path):
            asking = in_background(served.client(secret), path, answers)
            eventually(lambda: commands(client, account) == ["create", "pause"])
            assert answers == []  # committed, and not answered yet
            # While the first try is carried out nobody else begins another under its key.
            assert client.refused(409, "POST", path, {}, headers=KEY)["code"] == "still_running"
            served.process.kill()
        asking.join()
        assert isinstance(answers[0], httpx.HTTPError)
    with serving(data, port, tmp_path / "second.log") as served:
        client = served.client(secret)
        client.ok("POST", f"/accounts/{account}/commands/resume", {})  # what came between is not undone either
        again = client.post(path, json={}, headers=KEY)
        assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
        assert (again.json()["to"], again.json()["version"], again.json()["enforced"]) == ("PAUSED", 2, True)
        assert commands(client, account) == ["create", "pause", "resume"]
