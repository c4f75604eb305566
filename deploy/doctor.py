"""Doctor: is this machine fit, is this data directory whole, do its roles answer.

Called by `pixelgate doctor`. Each examination is one small function that returns what it found; none changes anything,
none takes longer than reading the ledger's history once. A list of functions, so that a new one is one more line.
"""

import os
import resource
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from collector.config import CollectorSettings
from collector.journal.directory import journals
from collector.metrics import read_counters
from collector.publisher.dead_letters import find as find_unsent
from consumers.config import ConsumerSettings
from consumers.dead_letters import find as find_poison
from deploy.check import FAIL, OK, WARN, Check
from deploy.doctor_billing import billing
from deploy.doctor_clock import heartbeat
from deploy.doctor_effects import effects
from deploy.output import bytes_of
from deploy.ports import unix_answers
from deploy.settings import list_settings, load
from deploy.workers import is_alive
from gating.clock import boot_ns
from gating.config import GatingSettings, LedgerSettings
from gating.datadir import DataDirectory
from gating.errors import PixelgateError
from gating.ledger import Ledger, ledger_url

DISK_WARN_PERCENT: Final = 85.0  # readiness fails here (DESIGN 5)
DISK_FAIL_PERCENT: Final = 95.0  # hits get 503 here
SPARE_FILES: Final = 128  # a worker's own: libraries, journal, sockets
SILENT_SECONDS: Final = 5.0  # a worker publishes once a second
AHEAD_SECONDS: Final = 1.0  # clocks are taken to agree this well (DESIGN 6)
DAY_SECONDS: Final = 86_400.0
MAP_SECONDS: Final = 30 * DAY_SECONDS  # a worker writes its map anew at each start, and with every change
YEAR_2020_SECONDS: Final = 1_577_836_800  # a clock before it was never set


def examine(root: Path) -> list[Check]:
    """Look at everything that can be looked at; what fails keeps nothing else from being looked at."""
    checks = [settings(), disk(root), open_files(), clock(), *servers(root)]
    found = data_directory(root)
    checks.append(found)
    if found.result == FAIL or not (root / "VERSION").exists():
        return checks
    directory = DataDirectory(root)
    looks: list[Callable[[DataDirectory], Check]] = [
        ledger, heartbeat, billing, effects, journalled, quarantine, letters, saved_maps, workers, gating, consumer,
    ]  # fmt: skip
    return [*checks, *(_looked(look, directory) for look in looks)]


def _looked(look: Callable[[DataDirectory], Check], directory: DataDirectory) -> Check:
    """One examination; what keeps it from being made is its finding."""
    try:
        return look(directory)
    except (PixelgateError, OSError) as error:
        return Check(look.__name__, FAIL, str(error), "see the message")


def settings() -> Check:
    """Whether every setting reads."""
    try:
        given = [setting.name for setting in list_settings({}) if setting.source != "default"]
    except PixelgateError as error:
        return Check("settings", FAIL, str(error), "correct or unset it; `pixelgate settings` lists them")
    return Check("settings", OK, f"{len(given)} given, the others at their defaults")


def servers(root: Path) -> list[Check]:
    """Each server that a URL names; what looks at one is loaded only then, with its client."""
    try:
        gating, consumers = load(GatingSettings), load(ConsumerSettings)
    except PixelgateError:
        return []  # `settings` has told
    found = []
    if gating.redis_url:
        from deploy.doctor_redis import redis

        found.append(redis(gating.redis_url))
    if gating.database_url:
        from deploy.doctor_postgres import postgres

        found.append(postgres(gating.database_url))
    if gating.kafka_bootstrap:
        from deploy.doctor_kafka import kafka

        found.append(kafka(gating.kafka_bootstrap))
    if consumers.clickhouse_url:
        from deploy.doctor_clickhouse import clickhouse

        consumer_runs = (root / "VERSION").exists() and DataDirectory(root).is_held("consumer")
        found.append(clickhouse(consumers.clickhouse_url, consumer_runs=consumer_runs))
    return found


def disk(root: Path) -> Check:
    """How full the file system of the data directory is, as an ordinary user may fill it."""
    place = root.absolute()
    while not place.exists():
        place = place.parent
    usage = shutil.disk_usage(place)
    full = 100.0 * (1 - usage.free / usage.total) if usage.total else 100.0
    found = f"{full:.0f} % full, {bytes_of(usage.free)} free at {place}"
    if full >= DISK_FAIL_PERCENT:
        return Check("disk", FAIL, found, f"make room: from {DISK_FAIL_PERCENT:.0f} % on hits get 503")
    if full >= DISK_WARN_PERCENT:
        return Check("disk", WARN, found, f"make room: readiness fails from {DISK_WARN_PERCENT:.0f} % on")
    return Check("disk", OK, found)


def open_files() -> Check:
    """Whether a worker may open as many connections as it is set to."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        connections = load(CollectorSettings).connections_max
    except PixelgateError:
        return Check("open files", WARN, f"limit {soft:,}", "the settings do not read, so there is nothing to compare")
    needed = connections + SPARE_FILES
    found = f"limit {soft:,} a process, {connections:,} connections a worker"
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return Check("open files", OK, found)
    how = f"`ulimit -n {needed}`" if hard == resource.RLIM_INFINITY or hard >= needed else "LimitNOFILE= or limits.conf"
    return Check("open files", WARN, found, f"raise it to {needed:,} ({how}), or lower PIXELGATE_CONNECTIONS_MAX")


def clock() -> Check:
    """Whether the wall clock was ever set, and the clock that leases run by goes on."""
    wall = time.time()
    before = boot_ns()
    found = f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(wall))} UTC, up for {before / 3.6e12:.1f} h"
    if wall < YEAR_2020_SECONDS:
        return Check("clock", FAIL, found, "set the clock: deadlines and times of hits would be wrong")
    if boot_ns() < before:
        return Check("clock", FAIL, found, "CLOCK_BOOTTIME goes backwards: leases cannot hold on this machine")
    return Check("clock", OK, found)


def data_directory(root: Path) -> Check:
    """Whether the directory is ours, of a version we read, writable, and private."""
    place = root.absolute()
    if not place.exists():
        above = next(parent for parent in place.parents if parent.exists())
        if not above.is_dir():
            return Check("data directory", FAIL, f"{above} is a file", "give another directory by --data")
        return Check("data directory", OK, f"{place} is not there yet", "`pixelgate run` makes it")
    try:
        directory = DataDirectory.open(root)
    except PixelgateError as error:
        return Check("data directory", FAIL, str(error), "see the message")
    version = directory.version_file.read_text().strip()
    found = f"{place}, format {version}"
    if not os.access(place, os.R_OK | os.W_OK | os.X_OK):
        return Check("data directory", FAIL, found, "this user may not write there; run as the user who owns it")
    open_to_all = [
        p.name
        for p in place.iterdir()
        if p.is_file() and p.suffix in (".sqlite", ".duckdb") and p.stat().st_mode & 0o007
    ]
    if open_to_all:
        return Check("data directory", WARN, found, f"everybody may read {open_to_all[0]}: chmod o= it")
    return Check("data directory", OK, found)


def ledger(directory: DataDirectory) -> Check:
    """Whether the ledger reads, its history is whole, and nothing in it is dated ahead of now."""
    url = ledger_url(directory, LedgerSettings().database_url)
    if not Ledger.exists(url):
        return Check("ledger", OK, "none yet", "`pixelgate account create` makes the first account")
    with Ledger.open_reading(url) as opened:
        faults = opened.verify_history() + opened.refusals.verify()
        head = opened.head()
        changes = opened.changes_since(max(0, head.version - 1))
    if faults:
        return Check("ledger", FAIL, faults[0].message, f"{len(faults)} faults: restore the ledger from a backup")
    ahead = changes[-1].at_us / 1e6 - time.time() if changes else 0.0
    found = f"{head.version} changes, the history is whole"
    if ahead > AHEAD_SECONDS:
        return Check(
            "ledger", WARN, f"{found}; the newest is dated {ahead:.0f} s ahead", "the clock was set back: set it right"
        )
    return Check("ledger", OK, found)


def journalled(directory: DataDirectory) -> Check:
    """Whether somebody takes over what dead workers left."""
    found = journals(directory.journals)
    dead = [journal for journal in found if not journal.live]
    size = sum(path.stat().st_size for journal in found for path in journal.path.glob("*.segment"))
    words = f"{len(found) - len(dead)} live, {len(dead)} left to be taken over, {bytes_of(size)}"
    taker, start = ("publisher", "pixelgate publisher") if load(GatingSettings).kafka_bootstrap else (
        "consumer", "pixelgate consumer materialise"
    )  # fmt: skip
    if dead and not directory.is_held(taker):
        return Check("journals", WARN, words, f"start `pixelgate run` or `{start}`")
    return Check("journals", OK, words)


def quarantine(directory: DataDirectory) -> Check:
    """Whether recovery ever found damage."""
    copies = sorted(directory.quarantine.iterdir())
    if copies:
        return Check(
            "quarantine", WARN, f"{len(copies)} damaged segments were set aside", f"see {directory.quarantine}"
        )
    return Check("quarantine", OK, "empty: no journal was ever found damaged")


def letters(directory: DataDirectory) -> Check:
    """Whether anything lies set aside that nobody could take: events Kafka refused, records that are no events."""
    if not directory.dead_letters.is_dir():
        return Check("dead letters", OK, "none")
    found = find_unsent(directory.dead_letters)
    unsent, poison = len(found.unsent), len(find_poison(directory.dead_letters))
    if not unsent and not poison and not found.damaged:
        return Check("dead letters", OK, "none that waits")
    return Check(
        "dead letters",
        WARN,
        f"{unsent} events that Kafka refused, {poison} records that are no events, {len(found.damaged)} damaged files",
        "see `pixelgate journal dead-letters` and docs/kafka.md; `pixelgate journal resend` sends what was refused",
    )


def saved_maps(directory: DataDirectory) -> Check:
    """Whether workers' maps for a start without the feed are of this month."""
    files = sorted(directory.maps.iterdir())
    left = [path for path in files if ".new-" in path.name]
    old = [path for path in files if path not in left and time.time() - path.stat().st_mtime > MAP_SECONDS]
    words = f"{len(files) - len(left)} of worker slots"
    if old:
        days = (time.time() - old[0].stat().st_mtime) / DAY_SECONDS
        advice = "of a worker slot that runs no more: remove it; else see the workers' log"
        return Check("saved maps", WARN, f"{words}; {old[0].name} was not written for {days:.0f} days", advice)
    return Check("saved maps", OK, words)


def workers(directory: DataDirectory) -> Check:
    """Whether the workers that live publish, and hold a lease."""
    living = [published for published in read_counters(directory.counters) if is_alive(published)]
    if not living:
        return Check("workers", OK, "none runs", "`pixelgate run` or `pixelgate collector` starts them")
    silent = [p.pid for p in living if time.time() - p.published_us / 1e6 > SILENT_SECONDS]
    unleased = [p.pid for p in living if not p.leased]
    found = f"{len(living)} running, {len(living) - len(unleased)} with a lease"
    if silent:
        return Check(
            "workers", FAIL, f"{found}; process {silent[0]} has been silent", "it is stopped or stuck: restart it"
        )
    if unleased:
        advice = "gating is not running: hits are kept unverified" if not directory.is_held("gating") else "give it 3 s"
        return Check("workers", WARN, found, advice)
    return Check("workers", OK, found)


def gating(directory: DataDirectory) -> Check:
    """Whether the gating process answers."""
    return _role(directory, "gating", directory.gating_socket, "flips are carried out by the command line itself")


def consumer(directory: DataDirectory) -> Check:
    """Whether the consumer answers."""
    return _role(directory, "consumer", directory.consumer_socket, "reports read the warehouse as it was left")


def _role(directory: DataDirectory, role: str, socket_path: Path, without: str) -> Check:
    if not directory.is_held(role):
        return Check(role, OK, f"not running: {without}")
    if not unix_answers(socket_path):
        return Check(role, FAIL, f"runs, but does not answer at {socket_path.name}", "restart it")
    return Check(role, OK, "running and answering")
