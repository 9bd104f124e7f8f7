"""`bourse topics apply`, against a real Kafka."""

from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from bourse.cli.errors import CliError
from bourse.cli.kafka import admin_client
from bourse.cli.topic_admin import Outcome, TopicAdmin
from bourse.cli.topic_settings import wanted_topics
from bourse.pipeline.flow import STAGES
from bourse.settings import Settings

CONTRACT = {
    "orders", "validated", "risk-approved", "trades", "positions", "settlements", "releases", "order-events",
    "wallet-commands", "wallet-transactions", "accounts", "participants", "instruments", "corporate-actions",
    "sessions", "announcements", "market-data", "tape", "book-updates", "dead-letters", "changelog",
}  # fmt: skip


def admin(settings: Settings) -> TopicAdmin:
    return TopicAdmin(admin_client(settings.broker))


def outcomes(settings: Settings, *, check: bool = False) -> set[Outcome]:
    topics = wanted_topics(settings)
    reports = admin(settings).check(topics) if check else admin(settings).apply(topics)
    return {report.outcome for report in reports}


def differences(settings: Settings) -> dict[str, dict[str, tuple[str, str]]]:
    """Kafka takes changed settings over a moment after it has confirmed them."""
    reports = admin(settings).check(wanted_topics(settings))
    return {report.wanted.name: report.differences for report in reports if report.differences}


def test_the_file_names_every_topic_of_the_contract() -> None:
    assert {topic.name for topic in wanted_topics(Settings())} == CONTRACT


def test_reference_data_and_state_are_compacted_and_nothing_else() -> None:
    compacted = {t.name for t in wanted_topics(Settings()) if t.config["cleanup.policy"] == "compact"}
    assert compacted == {"accounts", "participants", "instruments", "changelog"}


def test_a_dead_letter_has_room_for_the_largest_record_that_a_stage_reads() -> None:
    sizes = {topic.name: int(topic.config["max.message.bytes"]) for topic in wanted_topics(Settings())}
    read = {topic for stage in STAGES for topic, *_ in stage.reads}
    assert sizes["dead-letters"] >= 2 * max(size for topic, size in sizes.items() if topic in read)


def test_three_copies_need_two_that_are_in_sync() -> None:
    topics = wanted_topics(Settings(replication=3))
    assert {topic.config["min.insync.replicas"] for topic in topics} == {"2"}


def test_apply_makes_all_topics_and_finds_them_in_order_afterwards(kafka: Settings) -> None:
    assert outcomes(kafka, check=True) == {Outcome.MISSING}
    assert outcomes(kafka) == {Outcome.MADE}
    assert outcomes(kafka) == {Outcome.MATCHES}
    assert outcomes(kafka, check=True) == {Outcome.MATCHES}
    admin(kafka).delete([topic.name for topic in wanted_topics(kafka)])


def test_a_setting_that_was_changed_is_found_and_set_back(market: Settings, eventually: Callable) -> None:
    tape = ConfigResource(ResourceType.TOPIC, market.topic("tape"))
    entry = ConfigEntry("retention.ms", "1000", incremental_operation=AlterConfigOpType.SET)
    changed = ConfigResource(ResourceType.TOPIC, tape.name, incremental_configs=[entry])
    client = admin_client(market.broker)
    client.incremental_alter_configs([changed])[changed].result()

    eventually(lambda: differences(market) == {tape.name: {"retention.ms": ("1000", "-1")}})
    assert outcomes(market) == {Outcome.MATCHES, Outcome.CHANGED}
    eventually(lambda: outcomes(market, check=True) == {Outcome.MATCHES})


def test_another_partition_count_is_refused_with_advice(market: Settings) -> None:
    other = market.model_copy(update={"partitions": 3})
    with pytest.raises(CliError, match="has 2 partitions, but 3 are wanted") as refusal:
        admin(other).apply(wanted_topics(other))
    assert "BOURSE_PARTITIONS=2" in refusal.value.advice


def test_a_missing_or_broken_topics_file_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "topics.toml"
    with pytest.raises(CliError, match="are missing"):
        wanted_topics(Settings(topics_file=broken))
    broken.write_text("[topics")
    with pytest.raises(CliError, match="is no valid TOML"):
        wanted_topics(Settings(topics_file=broken))
    broken.write_text("partitions = 2")
    with pytest.raises(CliError, match=r"has no \[topics"):
        wanted_topics(Settings(topics_file=broken))


def test_a_topic_that_the_contract_does_not_have_is_refused(kafka: Settings, bourse: Callable) -> None:
    ran = bourse("tail", "order")
    assert ran.code == 1
    assert "There is no topic 'order'" in ran.err
    assert kafka.topic("order-events").removeprefix(kafka.topic_prefix) in ran.err


def test_topics_that_are_not_made_yet_are_said_to_be_missing(
    kafka: Settings, bourse: Callable, tmp_path: Path
) -> None:
    (tmp_path / "in.jsonl").touch()
    for command in (("tail", "orders"), ("publish", str(tmp_path / "in.jsonl"))):
        ran = bourse(*command)
        assert ran.code == 1
        assert f"has no topic {kafka.topic('orders')}" in ran.err
        assert "bourse topics apply" in ran.err


def test_the_command_prints_a_table_and_fails_when_a_check_does(kafka: Settings, bourse: Callable) -> None:
    ran = bourse("topics", "apply", "--check")
    assert ran.code == 1
    assert "21 of 21 topics are not as topics.toml wants them" in ran.err
    ran = bourse("topics", "apply")
    assert ran.code == 0
    assert ran.out.count("made") == 21
    assert "last of each key" in ran.out
    assert bourse("topics", "apply", "--check").code == 0
    admin(kafka).delete([topic.name for topic in wanted_topics(kafka)])
