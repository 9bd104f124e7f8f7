"""Waiting for the workers: done exactly when everything published has been processed, and never for ever."""

import re
import threading
from collections.abc import Callable

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from bourse.cli import drain
from bourse.cli.drain import look, require_workers, wait_until_drained
from bourse.cli.errors import CliError
from bourse.cli.group import Group, Place
from bourse.cli.kafka import admin_client
from bourse.settings import Settings
from tests.cli.toy_worker import ToyWorker


@pytest.fixture
def admin(market: Settings) -> AdminClient:
    return admin_client(market.broker)


@pytest.fixture
def group(admin: AdminClient, market: Settings) -> Group:
    return Group(admin, market)


@pytest.fixture
def transactional(market: Settings) -> Producer:
    producer = Producer({"bootstrap.servers": market.broker, "transactional.id": f"{market.group}-outside"})
    producer.init_transactions()
    return producer


def publish(settings: Settings, count: int) -> None:
    producer = Producer({"bootstrap.servers": settings.broker})
    for number in range(count):
        producer.produce(settings.topic("orders"), b"value", f"account-{number}".encode())
    assert producer.flush(20) == 0


def ignore(_text: str) -> None:
    """Nobody reads the progress."""


def test_everything_has_been_processed_through_both_hops_when_the_wait_ends(
    market: Settings, group: Group
) -> None:
    with ToyWorker(market) as worker:
        require_workers(group, ignore)
        publish(market, 500)
        wait_until_drained(group, ignore)
        assert worker.processed == 1000


def test_marks_of_transactions_after_the_last_record_are_no_backlog(market: Settings, group: Group) -> None:
    with ToyWorker(market):
        publish(market, 20)
        wait_until_drained(group, ignore)
        trades = {p: where for p, where in look(group).progress.items() if p.topic == market.topic("trades")}
        assert sum(where.behind for where in trades.values()) > 0
        assert not group.holds_records(trades)


def test_aborted_records_are_no_backlog(market: Settings, group: Group, transactional: Producer) -> None:
    with ToyWorker(market):
        require_workers(group, ignore)
        transactional.begin_transaction()
        transactional.produce(market.topic("orders"), b"never", b"account-1")
        transactional.flush(10)
        transactional.abort_transaction()
        wait_until_drained(group, ignore)


def test_a_record_that_waits_is_backlog(market: Settings, group: Group, eventually: Callable) -> None:
    with ToyWorker(market) as worker:
        publish(market, 20)
        wait_until_drained(group, ignore)
        worker.paused.set()
        publish(market, 1)
        eventually(lambda: group.holds_records(look(group).progress))
        assert look(group).is_settled
        worker.paused.clear()
        wait_until_drained(group, ignore)
        assert worker.processed == 42


def test_the_wait_lasts_as_long_as_a_transaction_is_open(
    market: Settings, group: Group, transactional: Producer, eventually: Callable
) -> None:
    with ToyWorker(market) as worker:
        require_workers(group, ignore)
        transactional.begin_transaction()
        transactional.produce(market.topic("orders"), b"later", b"account-1")
        assert transactional.flush(10) == 0
        eventually(lambda: not look(group).is_settled and not look(group).unowned)
        said: list[str] = []
        waiting = threading.Thread(target=wait_until_drained, args=(group, said.append))
        waiting.start()
        eventually(lambda: len(said) > 5)
        assert waiting.is_alive()
        transactional.commit_transaction()
        waiting.join(20)
        assert not waiting.is_alive()
        assert worker.processed == 2


def test_without_workers_it_ends_and_says_how_to_start_some(group: Group) -> None:
    said: list[str] = []
    with pytest.raises(CliError, match="No worker runs in the group") as refusal:
        require_workers(group, said.append, patience_seconds=0.5)
    assert "bourse up" in refusal.value.advice
    assert "waiting for one" in said[0]
    with pytest.raises(CliError, match="No worker runs in the group"):
        wait_until_drained(group, said.append, patience_seconds=0.5)


def test_who_gives_up_says_where_nothing_goes_on(
    market: Settings,
    group: Group,
    transactional: Producer,
    eventually: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(drain, "PATIENCE_WITHOUT_PROGRESS_SECONDS", 1.0)
    with ToyWorker(market) as worker:
        eventually(lambda: look(group).progress and not look(group).unowned)
        worker.paused.set()
        publish(market, 7)
        transactional.begin_transaction()
        transactional.produce(market.topic("trades"), b"later", b"account-1", partition=1)
        assert transactional.flush(10) == 0
        with pytest.raises(CliError, match="committed nothing") as gave_up:
            wait_until_drained(group, ignore)
        worker.paused.clear()
        transactional.abort_transaction()
    text = str(gave_up.value)
    assert sum(int(n) for n in re.findall(rf"(\d+) in {re.escape(market.topic('orders'))}/", text)) == 7
    assert f"a transaction is open in {market.topic('trades')}/1" in text


def test_who_gives_up_says_that_nobody_has_any_partition(
    market: Settings, group: Group, eventually: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain, "PATIENCE_WITHOUT_PROGRESS_SECONDS", 0.5)
    with ToyWorker(market):
        eventually(lambda: look(group).progress and not look(group).unowned)
        members = [type(m)(m.worker, m.host, frozenset()) for m in group.members()]
        monkeypatch.setattr(group, "members", lambda: members)
        with pytest.raises(CliError, match="0 to go: all partitions belong to no worker"):
            wait_until_drained(group, ignore)


def test_partitions_that_nobody_owns_are_noticed(
    market: Settings, group: Group, eventually: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ToyWorker(market):
        eventually(lambda: look(group).progress and not look(group).unowned)
        places = {
            Place(market.topic(topic), partition) for topic in ("orders", "trades") for partition in (0, 1)
        }
        assert set(look(group).progress) == places
        members = group.members()
        half = [type(m)(m.worker, m.host, frozenset(p for p in m.owned if p.partition == 0)) for m in members]
        monkeypatch.setattr(group, "members", lambda: half)
        assert look(group).unowned == 2
        assert not look(group).is_settled
