"""What tests of bad input look at: answers to numbered hits, a complaint's one line, a directory's every byte."""

import http.client
import json
import os
from pathlib import Path

NOTICE = "pixelgate: "


class Client:
    """One connection that fires numbered hits, one after the other, so that each has a frame of its own."""

    def __init__(self, port, key, headers=None):
        self.key, self.headers = key, headers or {}
        self.http = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.answered, self.refused = [], []

    def get(self, target):
        """(status, headers as they came but for the date, body)."""
        self.http.request("GET", target, headers=self.headers)
        response = self.http.getresponse()
        headers = [(name, value) for name, value in response.getheaders() if name.lower() != "date"]
        return response.status, headers, response.read()

    def fire(self, numbers):
        """Fire a hit for each number, and note in which list its answer puts it; returns the last answer."""
        for number in numbers:
            answer = self.get(f"/p/{self.key}.gif?e=hit&number={number}")
            {200: self.answered, 503: self.refused}[answer[0]].append(number)
        return answer

    def ready(self):
        """Why the worker is not ready; empty where it is."""
        return json.loads(self.get("/health/ready")[2])["reasons"]

    def close(self):
        self.http.close()


def fired(port, key, numbers):
    """Fire the numbers, every one of which must be answered 200."""
    client = Client(port, key)
    client.fire(numbers)
    client.close()
    assert client.refused == []


def kept(system, account, path):
    """The numbers of the hits that reached the warehouse, once all have been taken over and settled."""
    report = system.json("report", account, "--settled", "60")
    assert report["events"]["unverified"] == 0
    system.cli("export", account, "--to", str(path))
    return sorted(int(json.loads(line)["params"]["number"]) for line in path.read_text().splitlines())


def complaint(text):
    """The one line of a complaint; fails where there are more, or a traceback."""
    lines = text.splitlines()
    assert len(lines) == 1, text
    assert lines[0].startswith(NOTICE), text
    return lines[0].removeprefix(NOTICE)


def snapshot(place):
    """Every file below a place (or the file that it is): content, mode, time of the last change."""
    paths = [place, *sorted(place.rglob("*"))] if place.is_dir() else [place]
    return {
        path: (path.read_bytes() if path.is_file() else None, path.stat().st_mode, path.stat().st_mtime_ns)
        for path in paths
    }


def mentions(place, marker):
    """The files below a place that hold these bytes."""
    return [path for path in place.rglob("*") if path.is_file() and marker in path.read_bytes()]


def processes_of(data):
    """The processes that were started on a data directory and live."""
    needle, found = f"PIXELGATE_DATA={data}\0".encode(), []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            environment, state = (process / "environ").read_bytes(), (process / "stat").read_text()
        except OSError:
            continue  # it has just ended
        if needle in environment + b"\0" and state.rpartition(")")[2].split()[0] != "Z":
            found.append(int(process.name))
    return found
