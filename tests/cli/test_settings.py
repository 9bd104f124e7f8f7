"""The settings: their defaults, where they come from, and what is said about bad ones."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bourse.settings import DEFAULT_BROKER, Settings, SettingsError, project_data_dir, unknown_variables


@pytest.fixture(autouse=True)
def no_broker(plain_settings: Settings) -> Path:
    return plain_settings.data_dir


def test_the_broker_is_the_local_one_that_was_started_or_else_kafkas_usual_address(no_broker: Path) -> None:
    assert Settings.read().broker == DEFAULT_BROKER
    (no_broker / "broker").mkdir(parents=True)
    (no_broker / "broker" / "address").write_text("127.0.0.1:20001")
    assert Settings.read().broker == "127.0.0.1:20001"
    assert Settings.read().broker_is_local


def test_a_broker_from_the_environment_is_not_the_local_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOURSE_BROKER", "a:9092,b:9092")
    assert Settings.read().broker == "a:9092,b:9092"
    assert not Settings.read().broker_is_local


def test_the_data_folder_belongs_to_the_project_that_one_stands_in(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    assert project_data_dir(deep) == tmp_path / ".bourse"


def test_topics_have_the_prefix_in_kafka_and_not_in_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOURSE_TOPIC_PREFIX", "madrid.")
    settings = Settings.read()
    assert settings.topic("orders") == "madrid.orders"
    assert settings.contract_topic("madrid.orders") == "orders"


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("BOURSE_PARTITIONS", "many", "BOURSE_PARTITIONS=many: should be a valid integer"),
        ("BOURSE_PARTITIONS", "0", "BOURSE_PARTITIONS=0: should be greater than or equal to 1"),
        ("BOURSE_CARRY", "together", "BOURSE_CARRY=together: takes BOURSE_PARTITIONS=1"),
        ("BOURSE_BROKER", "localhost", "BOURSE_BROKER=localhost: 'localhost' is not host:port"),
        ("BOURSE_BROKER", "a:9092,b:99999", "'b:99999' is not host:port"),
        ("BOURSE_SCHEMA_REGISTRY", "registry", "BOURSE_SCHEMA_REGISTRY=registry: should be a valid URL"),
        ("BOURSE_LOG_FORMAT", "pretty", "should be 'console' or 'json'"),
        ("BOURSE_TOPIC_PREFIX", "a/b", "BOURSE_TOPIC_PREFIX=a/b: "),
    ],
)
def test_a_bad_value_is_named_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as refusal:
        Settings.read()
    assert said in str(refusal.value)
    assert len(str(refusal.value).splitlines()) == 1


def test_every_setting_says_what_it_is_for() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_a_misspelt_variable_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOURSE_PARTITION", "2")
    assert unknown_variables() == ["BOURSE_PARTITION"]


def test_the_command_shows_every_setting(bourse: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOURSE_GROUP", "madrid")
    shown = bourse("settings")
    assert "BOURSE_GROUP=madrid" in shown.out
    values = json.loads(bourse("settings", "--json").out)
    assert len(values) == len(Settings.model_fields)
    assert values["BOURSE_GROUP"] == "madrid"


def test_a_password_is_not_shown(bourse: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOURSE_SCHEMA_REGISTRY", "https://ann:secret@registry:8081")
    for arguments in ((), ("--json",)):
        ran = bourse("settings", *arguments)
        assert "https://ann:***@registry:8081" in ran.out
        assert "secret" not in ran.out


@pytest.mark.parametrize(
    "url", ["ftp://ann:secret@registry", "ann:secret@registry:8081", "https://ann:sec@ret:secret@reg istry"]
)
def test_a_password_in_a_bad_url_is_not_shown_either(
    url: str, bourse: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOURSE_SCHEMA_REGISTRY", url)
    ran = bourse("settings")
    assert ran.code == 2
    assert "ann:***@" in ran.err
    assert "secret" not in ran.out + ran.err


def test_a_bad_setting_ends_a_command_with_code_2(bourse: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOURSE_PARTITIONS", "many")
    ran = bourse("settings")
    assert ran.code == 2
    assert ran.err.startswith("BOURSE_PARTITIONS=many")
    assert "Traceback" not in ran.err
