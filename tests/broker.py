"""One real Kafka for a whole test run, and markets that don't see each other on it.

`broker` starts a node of its own on a free port (or takes the one that TEST_BROKER names). `kafka` gives a test its own
topic prefix, group and data folder, also to every process it starts; `market` has the topics made as well.
"""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from bourse.cli.kafka import admin_client
from bourse.cli.local_broker import LocalBroker
from bourse.cli.topic_admin import TopicAdmin
from bourse.cli.topic_settings import wanted_topics
from bourse.settings import PROJECT_ROOT, Settings

JARS = PROJECT_ROOT / ".bourse" / "broker" / "jars"


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the Kafka that all tests of this run share."""
    if given := os.environ.get("TEST_BROKER"):
        yield given
        return
    node = LocalBroker(tmp_path_factory.mktemp("broker"), JARS)
    try:
        node.start()
        assert node.address
        yield node.address
    finally:
        node.stop()


@pytest.fixture
def kafka(broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a market of the test's own, without topics; `settings.topic(name)` names its topics in Kafka."""
    for name in [name for name in os.environ if name.startswith("BOURSE_")]:
        monkeypatch.delenv(name)
    own = f"t{secrets.token_hex(4)}"
    monkeypatch.setenv("BOURSE_BROKER", broker)
    monkeypatch.setenv("BOURSE_TOPIC_PREFIX", f"{own}.")
    monkeypatch.setenv("BOURSE_GROUP", own)
    monkeypatch.setenv("BOURSE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("BOURSE_BROKER_JARS", str(JARS))
    return Settings.read()


@pytest.fixture
def market(kafka: Settings) -> Iterator[Settings]:
    """The same with every topic of the contract made, and deleted afterwards."""
    admin = TopicAdmin(admin_client(kafka.broker))
    wanted = wanted_topics(kafka)
    admin.apply(wanted)
    yield kafka
    admin.delete([topic.name for topic in wanted])
