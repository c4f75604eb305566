"""deploy/compose.yaml says what the command line and the settings understand; containers themselves are not started."""

import re

import pytest
import yaml
from typer.testing import CliRunner

from deploy.cli import app
from deploy.settings import list_settings
from gating.config import LeadSettings
from gating.ledger.conninfo import connection_parameters
from gating.redis_client import RedisPlace
from tests.processes import ENGINES, ROOT

COMPOSE = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
ENVIRONMENT = dict(
    line.split("=", 1)
    for line in (ROOT / "deploy" / "compose.env").read_text().splitlines()
    if line and not line.startswith("#")
)
OURS = {name: service for name, service in COMPOSE["services"].items() if service.get("image") == "pixelgate"}


@pytest.mark.parametrize("name", OURS)
def test_each_of_our_services_runs_a_command_that_there_is(name):
    words = OURS[name]["command"]
    command = words[: next((at for at, word in enumerate(words) if word.startswith("-")), len(words))]
    shown = CliRunner().invoke(app, [*command, "--help"])
    assert shown.exit_code == 0, shown.output
    for option in (word for word in words if word.startswith("--")):
        assert option in shown.output


def test_every_role_of_a_scaled_out_site_is_there():
    assert set(OURS) == {"gating", "consumer", "collector", "publisher"}


def test_the_environment_file_sets_the_four_engines_and_nothing_unknown(monkeypatch):
    for name in ENGINES:
        monkeypatch.delenv(name, raising=False)
    known = {setting.name for setting in list_settings({})}
    assert set(ENGINES) <= set(ENVIRONMENT)
    assert {name for name in ENVIRONMENT if not name.endswith("_PASSWORD")} <= known


def test_the_urls_name_the_services_and_their_passwords():
    settings = LeadSettings(database_url=ENVIRONMENT["DATABASE_URL"], redis_url=ENVIRONMENT["REDIS_URL"])
    postgres = connection_parameters(settings.database_url or "")
    assert (postgres["host"], postgres["password"]) == ("postgres", ENVIRONMENT["POSTGRES_PASSWORD"])
    assert RedisPlace.parse(settings.redis_url or "").hosts == (("redis", 6379),)
    clickhouse = re.fullmatch(r"http://pixelgate:(.*)@clickhouse:8123/pixelgate", ENVIRONMENT["CLICKHOUSE_URL"])
    assert clickhouse is not None
    assert clickhouse[1] == ENVIRONMENT["CLICKHOUSE_PASSWORD"]


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_every_volume_and_every_dependency_is_there(name):
    service = COMPOSE["services"][name]
    assert {volume.partition(":")[0] for volume in service.get("volumes", ())} <= set(COMPOSE["volumes"])
    assert set(service.get("depends_on", ())) <= set(COMPOSE["services"])


def test_a_host_s_collector_and_publisher_share_their_data_and_no_consumer_does():
    volumes = {name: set(OURS[name]["volumes"]) for name in OURS}
    assert volumes["collector"] == volumes["publisher"] != volumes["consumer"]
