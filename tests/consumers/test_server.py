"""The consumer process and its client: the same answers over the socket and from the files."""

import os
import signal
import stat
import subprocess
import sys

import orjson
import pytest

from collector.journal import Journal
from collector.metrics import CounterFile, Counters, read_counters
from collector.outcome import Outcome
from consumers.client import ConsumerClient
from consumers.config import ConsumerSettings
from consumers.errors import NotSettledInTime
from consumers.export import Format
from consumers.warehouse.protocol import Audience
from gating.errors import PixelgateError
from gating.local_http import LocalClient, RemoteError
from gating.status import SECOND_US, Verdict
from gating.worker_counters import TOTAL
from tests.consumers.house import now_us
from tests.eventually import eventually
from tests.processes import ROOT, Process


@pytest.fixture
def client(house):
    return ConsumerClient(house.data, ConsumerSettings(data=house.data.root))


@pytest.fixture
def consumer(house, tmp_path, client):
    """A running `python -m consumers`."""
    process = Process(["-m", "consumers", "materialise"], house.data.root, tmp_path / "log")
    eventually(client.status, 30)
    yield process
    assert process.stop() == 0, process.log


@pytest.fixture(params=["socket", "files"])
def either(request, client):
    """The client with a consumer running, and without one."""
    if request.param == "socket":
        request.getfixturevalue("consumer")
    return client


def test_a_settled_report_has_every_hit_that_was_answered_before_it(house, either):
    """CONTRACT `--settled`: your own writes, the unverified ones settled."""
    house.create()
    for n in range(1, 4):
        house.hit(f"v=a{n}", f"v=b{n}")
        assert either.report("shop", settled=30)["events"]["visible"] == 2 * n
    house.flip("pause")
    house.hit("v=c", verdict=Verdict.HIDE, version=2)
    house.hit("v=d", verified=False, at_us=now_us() - 10 * SECOND_US)
    assert either.report("shop", settled=30)["events"] == {"visible": 7, "hidden": 1, "unverified": 0}


def test_errors_keep_their_words_code_and_exit_code(house, either):
    house.create()
    house.flip("pause")
    with pytest.raises(PixelgateError, match="no access to its data") as denied:
        either.report("shop", audience=Audience.ACCOUNT)
    assert (denied.value.code, denied.value.exit_code, denied.value.http_status) == ("access_denied", 1, 403)
    with pytest.raises(PixelgateError, match="there is no account 'none'") as unknown:
        either.report("none")
    assert (unknown.value.code, unknown.value.exit_code) == ("not_found", 1)
    with pytest.raises(PixelgateError, match="from is 'yesterday'") as invalid:
        either.report("shop", from_="yesterday")
    assert invalid.value.code == "input_invalid"


def test_a_wait_that_is_over_too_soon_says_what_is_missing(house, either):
    """CONTRACT: exit 4. An unverified hit of this very moment cannot be settled yet."""
    house.create()
    house.hit("v=a", verified=False, at_us=now_us() + 3600 * SECOND_US)
    house.hit("v=b", verified=False)
    with pytest.raises(PixelgateError, match="unverified events wait") as late:
        either.report("shop", settled=0.7)
    assert late.value.exit_code == NotSettledInTime.exit_code == 4


@pytest.mark.parametrize("format_", Format)
def test_an_export_arrives_whole_with_its_count_and_digest(house, either, tmp_path, format_):
    house.create()
    house.hit(*[f"v={n}" for n in range(1000)])
    told = []
    target = tmp_path / f"out.{format_.value}"
    done = either.export("shop", target, format_=format_, settled=30, progress=lambda *step: told.append(step))
    assert done["events"] == 1000
    assert done["file"] == str(target)
    assert target.stat().st_size > 1000
    assert all(size == target.stat().st_size for _, size in told)
    assert [path.name for path in house.data.root.iterdir() if path.name.startswith(".export")] == []


def test_the_socket_and_the_warehouse_are_for_their_owner_alone(house, consumer):
    for path in (house.data.consumer_socket, house.data.warehouse):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_stop_takes_what_was_written_before_it_and_leaves_no_socket(house, client, tmp_path):
    house.create()
    process = Process(["-m", "consumers"], house.data.root, tmp_path / "log")
    eventually(client.status, 30)
    os.kill(process.pid, signal.SIGSTOP)
    house.hit(*["v=a"] * 500)
    house.journal.close()
    assert process.stop() == 0, process.log  # continues it too
    assert not house.data.consumer_socket.exists()
    assert list(house.data.journals.iterdir()) == []
    assert client.report("shop")["events"]["visible"] == 500


def test_counters_of_workers_whose_journals_are_taken_over_are_folded_and_others_stay(house, client, tmp_path):
    house.create()
    living = Journal.create(house.data.journals)
    for journal, hits in ((house.journal, 3), (living, 2)):
        house.hit(*["v=a"] * hits, journal=journal)
        counters = Counters()
        counters.outcomes[Outcome.ACCEPTED] = hits
        file = CounterFile(house.data.counters, journal=journal.id, worker=0)
        file.publish(counters, connections=0, version=1, leased=True, clean=journal is house.journal)
    house.journal.close()
    process = Process(["-m", "consumers"], house.data.root, tmp_path / "log")
    eventually(client.status, 30)
    assert process.stop() == 0, process.log
    assert {path.stem for path in house.data.counters.iterdir()} == {TOTAL, living.id}
    assert sum(published.hits for published in read_counters(house.data.counters)) == 5
    living.close()


def test_a_second_consumer_on_the_directory_is_refused_in_one_line(house, consumer, tmp_path):
    second = Process(["-m", "consumers"], house.data.root, tmp_path / "second")
    assert second.popen.wait(30) == 1
    assert second.log.count("\n") == 1
    assert f"process {consumer.pid} holds the role 'consumer'" in second.log


def test_a_tail_over_the_socket_is_a_line_an_event(house, consumer):
    house.create()
    with LocalClient(house.data.consumer_socket, "consumer").stream(
        "GET", "/v1/tail?account=shop&verdict=accept"
    ) as answer:
        house.hit("v=a", verdict=Verdict.HIDE, version=2)
        house.hit("v=b")
        assert orjson.loads(answer.line())["visitor"] == "b"


@pytest.mark.parametrize(
    "question", ["as=boss", "settled=soon", "settled=-1", "from=2026-02-30", "from=2026-03-01T12:00"]
)
def test_a_question_that_does_not_read_is_a_problem_document(house, consumer, question):
    house.create()
    with pytest.raises(RemoteError) as refused:
        LocalClient(house.data.consumer_socket, "consumer").ask("GET", f"/v1/accounts/shop/report?{question}")
    assert (refused.value.http_status, refused.value.code, refused.value.exit_code) == (422, "input_invalid", 1)


HEAVY = frozenset(("duckdb", "sqlalchemy", "starlette", "pydantic", "uvicorn", "asyncio"))


def test_a_question_to_a_consumer_that_runs_loads_no_engine(house, consumer):
    """`pixelgate report` is a question and an answer: what reads the files stays unloaded."""
    house.create()
    script = f"""
import sys
from pathlib import Path
from collector.journal import Journal
from collector.metrics import CounterFile, Counters, read_counters
from collector.outcome import Outcome
from consumers.client import ConsumerClient
from gating.datadir import DataDirectory
print(ConsumerClient(DataDirectory.open(Path({str(house.data.root)!r})), None).report("shop")["account"])
print(*sorted({{name.partition(".")[0] for name in sys.modules}}))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    account, loaded = done.stdout.splitlines()
    assert account == "shop"
    assert HEAVY.isdisjoint(loaded.split())


def test_an_answer_that_breaks_off_is_told_and_leaves_no_file(house, client, tmp_path):
    house.create()
    consumer = Process(["-m", "consumers"], house.data.root, tmp_path / "log")
    eventually(client.status, 30)
    house.hit(*[f"v={n}" for n in range(20_000)])
    client.report("shop", settled=30)

    def die(_done: int, _of: int) -> None:
        consumer.kill()

    with pytest.raises(PixelgateError, match="nothing was written"):
        client.export("shop", tmp_path / "out.ndjson", progress=die)
    assert not [path for path in tmp_path.iterdir() if "out.ndjson" in path.name]
