"""What exactly once asks of the clients' settings."""

from dataclasses import replace
from typing import Any

from confluent_kafka import Consumer

from bourse.streaming.carry import Carry
from bourse.streaming.config import EngineConfig, Member
from bourse.streaming.intake import consumer_settings
from bourse.streaming.patience import LONGEST_MS
from bourse.streaming.producer import producer_settings
from bourse.streaming.requests import Produce
from bourse.streaming.transactions import Transactions


def no_store(_identity: object) -> Any:
    raise NotImplementedError


MEMBER = Member("127.0.0.1:1", "group", "w0")
CONFIG = EngineConfig(MEMBER, 2, "changelog", ["in"], no_store)


def test_the_producer_writes_in_transactions_that_outlive_no_restart() -> None:
    settings = producer_settings(MEMBER)
    Transactions(settings)
    to_all_copies = Produce(MEMBER.transactional_id, 1_000, {("topic", 0): b"batch"}).prepare({0: (3, 13)})
    assert to_all_copies.required_acks == -1
    assert settings["transactional.id"] == producer_settings(replace(MEMBER))["transactional.id"]
    assert settings["transactional.id"] != producer_settings(replace(MEMBER, worker="w1"))["transactional.id"]
    assert settings["transaction.timeout.ms"] == MEMBER.transaction_timeout_ms


def test_what_tunes_librdkafkas_clients_is_not_for_the_producer() -> None:
    tuned = replace(MEMBER, client={"fetch.error.backoff.ms": "100"})
    Transactions(producer_settings(tuned))
    assert consumer_settings(replace(CONFIG, member=tuned))["fetch.error.backoff.ms"] == "100"


def test_the_consumer_sees_what_is_committed_and_commits_nothing_by_itself() -> None:
    settings = consumer_settings(CONFIG)
    Consumer(settings).close()
    assert settings["isolation.level"] == "read_committed"
    assert settings["enable.auto.commit"] is False
    assert settings["auto.offset.reset"] == "error"
    assert settings["partition.assignment.strategy"] == "range"


def test_a_member_comes_back_under_its_name_and_is_another_in_the_other_mode() -> None:
    first = consumer_settings(CONFIG)["group.instance.id"]
    assert first == consumer_settings(replace(CONFIG))["group.instance.id"]
    assert first != consumer_settings(replace(CONFIG, carry=Carry.KAFKA))["group.instance.id"]


def test_a_member_keeps_its_place_through_a_cycle_as_long_as_its_transaction() -> None:
    patient = replace(MEMBER, transaction_timeout_ms=LONGEST_MS)
    settings = consumer_settings(replace(CONFIG, member=patient))
    Consumer(settings).close()
    assert int(settings["max.poll.interval.ms"]) > LONGEST_MS
