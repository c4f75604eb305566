"""A role that will not stop when asked to."""

import os
import signal
import time

signal.signal(signal.SIGTERM, signal.SIG_IGN)
with open(os.environ["LOG"], "a", encoding="ascii") as log:
    log.write(f"start {os.environ['NAME']} {os.getpid()}\n")
while True:
    time.sleep(60)
