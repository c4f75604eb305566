"""Settings: where a value comes from, what may be shown of it, and how a wrong one is told."""

import pytest
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from collector.config import CollectorSettings
from deploy.errors import Misused
from deploy.settings import MASK, PACKAGES, environment_of, list_settings, load, masked


class Sample(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="PIXELGATE_", frozen=True, extra="ignore")

    api_token: int = Field(0, description="a number that is secret")


def test_every_setting_of_every_package_has_a_meaning() -> None:
    undescribed = [f"{kind.__name__}.{name}" for _, kind in PACKAGES for name, field in kind.model_fields.items()
                   if not field.description]  # fmt: skip
    assert undescribed == []


def test_an_option_stands_above_the_environment_and_that_above_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXELGATE_PORT", "9000")
    assert load(CollectorSettings).port == 9000
    assert load(CollectorSettings, {"port": 7000, "host": None}).port == 7000
    sources = {setting.name: setting.source for setting in list_settings({"host": "127.0.0.1"})}
    assert sources["PIXELGATE_PORT"] == "environment"
    assert sources["PIXELGATE_HOST"] == "option"
    assert sources["PIXELGATE_CONNECTIONS_MAX"] == "default"


def test_a_wrong_value_is_told_by_the_name_it_was_given_under(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXELGATE_PORT", "-1")
    with pytest.raises(Misused, match=r"PIXELGATE_PORT is '-1'"):
        load(CollectorSettings)
    with pytest.raises(Misused, match="--port is 99999"):
        load(CollectorSettings, {"port": 99999})


def test_a_secret_is_never_shown_not_even_when_it_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXELGATE_API_TOKEN", "hunter2")
    with pytest.raises(Misused) as told:
        load(Sample)
    assert "hunter2" not in str(told.value)
    assert masked("api_token", "hunter2") == MASK
    shown = masked("database_url", "postgresql://ana:hunter2@db.example.org:5432/pixelgate")
    assert shown == f"postgresql://ana:{MASK}@db.example.org:5432/pixelgate"
    assert masked("host", "127.0.0.1") == "127.0.0.1"


def test_what_is_handed_to_a_role_is_what_was_given_and_nothing_else() -> None:
    assert environment_of({"port": 80, "host": None}) == {"PIXELGATE_PORT": "80"}
