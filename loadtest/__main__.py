"""`python -m loadtest`: a whole system of its own in a temporary directory, a shape of load on it, and the verdict.

Starts `pixelgate run` on free ports, makes an operator's token, runs locust headless, stops the system, and has
`pixelgate verify` look at what it left. Ctrl-C and SIGTERM end the load early; the rest follows. Exit: 0 where every
check passed; 1 where one failed; 2 usage, or locust's own; 3 where the system did not start or stop; 130 where it was
ended before the load began.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loadtest.ending import run
from loadtest.peers.pixelgate import KEYS_FILE, Accounts, await_ready, pixelgate, program
from loadtest.peers.server import (
    POLL_SECONDS,
    ROOT,
    START_SECONDS,
    Running,
    ServerFailed,
    free_port,
    last_words,
    launch,
)
from loadtest.reckoning.outside import NotTold, Outside
from loadtest.shapes.catalogue import PLANS, STEADY

LOCUSTFILE: Final = Path(__file__).with_name("locustfile.py")
FOLDER: Final = Path("build/loadtest")
LEDGERS: Final = Path("build/bench")
"""Where ledgers of many accounts are kept between runs: the benchmark uses the same ones."""
KEYS: Final = 1_000_000
WHOLE: Final = b"Ctrl-C stops it"
"""`pixelgate run` says so once every role has answered."""
RECKONING_SECONDS: Final = 1800.0
"""From the end of the load on: where `verify` reads the history of a million accounts, that alone takes minutes."""
SYSTEM_FAILED: Final = 3


@dataclass(frozen=True, slots=True)
class System:
    """A started `pixelgate run`: its data directory, both addresses, and an operator's token."""

    data: Path
    collector: str
    admin: str
    token: str


@contextmanager
def system(work: Path, workers: int, durability: str) -> Iterator[System]:
    """Start a whole system on `work/data`, and stop it. Raises ServerFailed where it does not start or end."""
    data, words, port, admin_port = work / "data", work / "words", free_port(), free_port()
    argv = [str(program()), "--data", str(data), "run", "--host", "127.0.0.1", "--port", str(port)]
    argv += ["--admin-port", str(admin_port), "--workers", str(workers), "--durability", durability]
    running = Running(launch(argv, words, None), port, words)
    until = time.monotonic() + START_SECONDS
    while WHOLE not in words.read_bytes():
        if running.process.poll() is not None or time.monotonic() > until:
            running.stop()
            raise ServerFailed(f"pixelgate run does not come up: {last_words(words)}")
        time.sleep(POLL_SECONDS)
    await_ready(running)
    try:
        token = pixelgate(data, "token", "create", "--role", "operator")["token"]
        yield System(data, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin_port}", token)
    finally:
        running.stop()
    if running.process.returncode != 0:
        raise ServerFailed(f"pixelgate run exited {running.process.returncode}: {last_words(words)}")


def many_keys(data: Path, count: int) -> Path:
    """Begin a data directory with a ledger of many accounts; returns the file of their keys. Raises ServerFailed."""
    accounts = Accounts(count, LEDGERS)
    if not accounts.place.exists():
        print(f"making {count:,} accounts, once: up to half a millisecond each", flush=True)
    accounts.make()
    accounts.copy(data)
    return accounts.place / KEYS_FILE


def play(chosen: argparse.Namespace, on: System, keys: Path | None, report: Path) -> int:
    """Run locust on the system, its output in a log beside the report; returns its exit code."""
    plan, length = PLANS[chosen.shape], chosen.duration or PLANS[chosen.shape].seconds
    argv = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--only-summary"]
    argv += ["--host", on.collector, "--data", str(on.data), "--admin", on.admin, "--shape", plan.name]
    argv += ["--users", str(chosen.users or plan.users), "--run-time", f"{length}s"]
    argv += ["--rate", str(chosen.rate or plan.rate), "--seed", str(chosen.seed), "--report", str(report)]
    if keys is not None:
        argv += ["--write-keys", str(keys)]
    if chosen.processes > 1:
        port = str(free_port())
        argv += ["--processes", str(chosen.processes), "--master-bind-port", port, "--master-port", port]
    log = report.with_suffix(".log")
    print(f"{plan.name}: {plan.title}, {length} s; log in {log}", flush=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("LOCUST_", "LOADTEST_"))}
    with log.open("wb") as output:
        locust = subprocess.Popen(
            argv, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True, cwd=ROOT,
            env={**environment, "LOADTEST_TOKEN": on.token},
        )  # fmt: skip
        try:
            return locust.wait(length + RECKONING_SECONDS)
        except KeyboardInterrupt:
            locust.send_signal(signal.SIGINT)  # it stops its users, reckons, and says why it ends
            return locust.wait(RECKONING_SECONDS)
        finally:
            if locust.poll() is None:
                os.killpg(locust.pid, signal.SIGKILL)  # its workers too
                locust.wait()


def seconds(text: str) -> int:
    """Read a duration: a whole number, of seconds where no unit follows. Raises ValueError, which argparse words."""
    unit = {"s": 1, "m": 60, "h": 3600}.get(text[-1:], 0)
    found = int(text[:-1]) * unit if unit else int(text)
    if found < 1:
        raise ValueError(f"a duration of {found} s")
    return found


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m loadtest", description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("shape", nargs="?", choices=list(PLANS), default=STEADY, help=f"what to play ({STEADY})")
    add("--duration", type=seconds, default=0, metavar="TIME", help="how long users run: 90, 90s, 2m (60s)")
    add("--users", type=int, default=0, help="how many there are (the shape's own)")
    add("--rate", type=float, default=0.0, help="hits a second of all browsers together (the shape's own)")
    add("--processes", type=int, default=1, help="of locust: a master with so many workers from 2 on (1)")
    add("--workers", type=int, default=1, help="of the collector (1)")
    add("--durability", choices=("process", "disk"), default="process", help="of the collector (process)")
    add("--keys", type=int, default=KEYS, help=f"write keys of million_keys ({KEYS:,})")
    add("--seed", type=int, default=1, help="of everything that is drawn (1)")
    add("--to", type=Path, default=FOLDER, metavar="DIR", help=f"where the page is written ({FOLDER})")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Start, load, stop, verify, tell; returns the exit code."""
    chosen = options(arguments)
    report = chosen.to.resolve() / f"{chosen.shape}.html"
    report.parent.mkdir(parents=True, exist_ok=True)
    for ending in (".html", ".json", ".log"):
        report.with_suffix(ending).unlink(missing_ok=True)
    if program() is None:
        print("loadtest: no `pixelgate` command beside this Python or on the path", file=sys.stderr)
        return SYSTEM_FAILED
    try:
        with tempfile.TemporaryDirectory(prefix="loadtest-") as name:
            keys = many_keys(Path(name) / "data", chosen.keys) if PLANS[chosen.shape].many_keys else None
            with system(Path(name), chosen.workers, chosen.durability) as on:
                code = play(chosen, on, keys, report)
            left = Outside(None, on.data).verify()
    except (ServerFailed, NotTold, subprocess.TimeoutExpired) as error:
        print(f"loadtest: {error}", file=sys.stderr)
        return SYSTEM_FAILED
    if not report.with_suffix(".json").exists():
        print(f"loadtest: locust exited {code}: {last_words(report.with_suffix('.log'))}", file=sys.stderr)
        return code or 1
    print("\n".join(json.loads(report.with_suffix(".json").read_text())["summary"]))
    if not left["ok"]:
        print(f"  failed: after the stop, pixelgate verify finds {left['faults']}")
        return 1
    return code


if __name__ == "__main__":
    run(main, "loadtest")
