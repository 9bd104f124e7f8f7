"""The reader takes in what is committed; the demonstration wipes nothing that is not its own."""

import pytest
from confluent_kafka import Producer

from bourse.cli.demo.follower import Arrival, Follower
from bourse.cli.demo.traces import Traces, make_room
from bourse.cli.errors import CliError
from bourse.cli.wire import Wire
from bourse.pipeline.outputs import Topic
from bourse.schemas.records import Order, OrderAction
from bourse.settings import Settings


def publish_orders(settings: Settings, count: int, *, commit: bool = True) -> None:
    producer = Producer(
        {"bootstrap.servers": settings.broker, "transactional.id": f"{settings.group}-{count}"}
    )
    producer.init_transactions()
    producer.begin_transaction()
    value = Wire(settings).encode(Topic.ORDERS, Order(OrderAction.NEW, "1", "ann"))
    for number in range(count):
        producer.produce(settings.topic(Topic.ORDERS), value, "ann", partition=number % settings.partitions)
    producer.flush()
    if commit:
        producer.commit_transaction()
    else:
        producer.abort_transaction()


def test_the_reader_takes_in_everything_that_is_committed_and_nothing_else(market: Settings) -> None:
    arrivals: list[Arrival] = []
    follower = Follower(market, {Topic.ORDERS, Topic.TRADES}, market.partitions, arrivals.append)
    follower.start()
    publish_orders(market, 5)
    publish_orders(market, 3, commit=False)
    follower.finish()
    assert [arrival.topic for arrival in arrivals] == [Topic.ORDERS] * 5
    assert {arrival.position for arrival in arrivals} == {f"orders/{n % 2}/{n // 2}" for n in range(5)}
    assert all(arrival.timestamp_ms <= arrival.arrived_ns // 10**6 for arrival in arrivals)


def test_what_goes_wrong_in_the_reader_is_raised_at_the_end(market: Settings) -> None:
    def fail(arrival: Arrival) -> None:
        raise ZeroDivisionError(arrival.position)

    follower = Follower(market, {Topic.ORDERS}, market.partitions, fail)
    publish_orders(market, 1)
    follower.start()
    with pytest.raises(ZeroDivisionError, match="orders/0/0"):
        follower.finish()


def test_a_market_without_a_past_is_taken_as_it_is(market: Settings) -> None:
    make_room(market, fresh=False)
    assert Traces.found(market).counts == {}


@pytest.mark.parametrize("fresh", [False, True])
def test_a_kafka_of_somebody_else_is_never_wiped(market: Settings, *, fresh: bool) -> None:
    publish_orders(market, 2)
    with pytest.raises(CliError, match="already holds") as refusal:
        make_room(market, fresh=fresh)
    assert "BOURSE_TOPIC_PREFIX" in refusal.value.advice


def test_what_a_demonstration_left_is_known_again_until_something_is_added(market: Settings) -> None:
    publish_orders(market, 2)
    assert not Traces.found(market).are_demo(market)
    Traces.found(market).write(market)
    assert Traces.found(market).are_demo(market)
    publish_orders(market, 1)
    assert not Traces.found(market).are_demo(market)
