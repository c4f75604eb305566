"""A role that notes its start and its stop in the file LOG names, listens on PORT if given, and ends when told to."""

import os
import signal
import socket
import sys
import threading
import time

stop = threading.Event()


def note(word: str) -> None:
    with open(os.environ["LOG"], "a", encoding="ascii") as log:
        log.write(f"{word} {os.environ['NAME']} {os.getpid()}\n")


signal.signal(signal.SIGTERM, lambda *_: stop.set())
listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"]))) if "PORT" in os.environ else None
note("start")
stop.wait()
time.sleep(float(os.environ.get("LINGER", "0")))
note("stop")
sys.exit(0)
