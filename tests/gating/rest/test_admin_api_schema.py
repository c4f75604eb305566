"""The admin API's OpenAPI document: Schemathesis tries all it says, and much that it forbids, against a process."""

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.eventually import eventually
from tests.gating.rest.served import serving
from tests.processes import Process, answers

HERE = Path(__file__).parent


@pytest.fixture
def whole(tmp_path):
    """With a consumer, which usage is asked of; nobody has to wait for having given wrong tokens."""
    data = tmp_path / "data"
    with serving(data, auth_tries=1_000_000) as served:
        for _ in range(2):
            served.account()
        consumer = Process(["-m", "consumers"], data, tmp_path / "consumer.log")
        try:
            eventually(lambda: consumer.must_live() and answers(data / "consumer.sock"), 30)
            yield served
        finally:
            consumer.kill()


@pytest.mark.timeout(180)
def test_every_check_of_schemathesis_holds_in_every_phase(whole, tmp_path):
    """Examples, the bounds of every field, random requests, and ways through what it made; bad input is a 4xx."""
    secret = whole.token()["token"]
    command = [Path(sys.executable).with_name("schemathesis"), "--config-file", HERE / "schemathesis.toml"]
    run = ["run", f"{whole.url}/api/openapi.json", "--checks", "all", "--continue-on-failure", "--seed", "1"]
    environment = {"PIXELGATE_TOKEN": secret, "SCHEMATHESIS_HOOKS": str(HERE / "schemathesis_hooks.py")}
    done = subprocess.run(
        [*command, *run], cwd=tmp_path, capture_output=True, text=True, check=False, env=environment
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    for phase in ("Examples", "Coverage", "Fuzzing", "Stateful"):
        assert f"✅ {phase}" in done.stdout
    assert whole.process.must_live()
    assert "Traceback" not in whole.process.log
    assert whole.metric("pixelgate_ledger_version") > 10  # it did get to changing things


def test_every_operation_says_who_it_is_what_it_takes_and_what_it_answers(served):
    document = httpx.get(f"{served.url}/api/openapi.json").json()
    assert document["security"] == [{"bearer": []}]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert {"operationId", "summary", "description", "tags", "responses"} <= set(operation), path
            told = set(operation["responses"])
            assert {"401", "403", "422", "429", "503"} <= told
            assert method == "get" or {"404"} <= told
            for status, answer in operation["responses"].items():
                if status.startswith("2"):
                    assert answer["content"]["application/json"]["schema"], (path, method)
                else:
                    assert answer == {"$ref": f"#/components/responses/{status}"}
            for parameter in operation.get("parameters", []):
                assert is_bounded(parameter["schema"], document), (path, parameter)


def is_bounded(schema, document):
    """Whether a parameter has an end: a text its length, a number its bounds, a word its list."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if schema.get("type") == "integer":
        return {"minimum", "maximum"} <= set(schema)
    return schema.get("type") == "boolean" or "enum" in schema or "maxLength" in schema
