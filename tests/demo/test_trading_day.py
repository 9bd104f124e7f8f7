"""How the sample becomes orders, accounts and money."""

import datetime as dt
from collections import Counter
from pathlib import Path

import pytest

from bourse.cli.demo.command import day_lines, write_day
from bourse.cli.trading_day import (
    ACCOUNTS,
    MADE_UP_ACCOUNTS,
    MADE_UP_ORDERS,
    SYMBOL,
    TICK,
    RowKind,
    cancelled_quantities,
    made_up_flow,
    real_accounts,
    real_orders,
    rows,
    trading_day,
)
from bourse.pipeline.outputs import Topic
from bourse.schemas.records import Order, OrderAction, SessionEvent, SessionKind, WalletCommand
from bourse.streaming.partitioner import Partitioner

PARTITIONS = (1, 2, 3, 4, 8)


def utc(time_ns: int) -> str:
    return dt.datetime.fromtimestamp(time_ns / 1e9, dt.UTC).isoformat(timespec="milliseconds")


def test_every_row_of_the_sample_becomes_one_order_of_its_kind() -> None:
    kinds = Counter(row.kind for row in rows())
    actions = Counter(order.action for order in real_orders(real_accounts(2)))
    assert kinds == {RowKind.NEW: 13_604, RowKind.CANCEL: 11_433, RowKind.MODIF: 2_019}
    assert actions == {OrderAction.NEW: 13_604, OrderAction.CANCEL: 11_433, OrderAction.REPLACE: 2_019}
    assert len(cancelled_quantities()) == 11_433


def test_a_new_row_becomes_a_limit_order_in_the_units_of_the_contract() -> None:
    first = next(real_orders(real_accounts(1)))
    assert (first.client_order_id, first.side, first.quantity, first.price) == ("55", "SELL", 3, 958_000)
    assert (first.symbol, first.order_type, first.time_in_force) == ("ANA", "LIMIT", "DAY")
    assert utc(first.sent_time_ns) == "2019-05-23T07:00:30.216+00:00"


def test_a_modif_row_becomes_a_replace_with_what_is_left_of_the_total() -> None:
    orders = [order for order in real_orders(real_accounts(1)) if order.client_order_id.split("-")[0] == "55"]
    news, *replaces = orders
    assert news.quantity == 3
    assert [(order.client_order_id, order.target_client_order_id, order.quantity) for order in replaces] == [
        ("55-replace-1", "55", 1),
        ("55-replace-2", "55", 0),
    ]


def test_every_price_is_on_the_tick_of_five_cents() -> None:
    assert all(row.price % TICK == 0 for row in rows() if row.price is not None)


def test_no_account_uses_a_client_order_id_twice() -> None:
    orders = [record for _, record in trading_day(2) if isinstance(record, Order)]
    assert len({(order.account_id, order.client_order_id) for order in orders}) == len(orders) == 32_056


@pytest.mark.parametrize("partitions", PARTITIONS)
def test_all_accounts_of_the_real_day_are_in_one_partition(partitions: int) -> None:
    accounts = real_accounts(partitions)
    assert len(set(accounts)) == ACCOUNTS
    assert len({Partitioner(partitions)[account_id] for account_id in accounts}) == 1


@pytest.mark.parametrize("partitions", PARTITIONS)
def test_the_made_up_flow_keeps_other_partitions_busy_and_each_symbol_in_one(partitions: int) -> None:
    partition_of = Partitioner(partitions)
    real = partition_of[real_accounts(partitions)[0]]
    used = set()
    for owners in made_up_flow(partitions).owners.values():
        assert len(set(owners)) == MADE_UP_ACCOUNTS
        (partition,) = {partition_of[account_id] for account_id in owners}
        used.add(partition)
    assert len(used) == min(5, max(1, partitions - 1))
    assert partitions == 1 or real not in used


def test_the_made_up_flow_is_the_same_each_time_and_in_the_order_of_its_times() -> None:
    first, second = list(made_up_flow(2).orders()), list(made_up_flow(2).orders())
    times = [order.sent_time_ns for order in first]
    assert first == second
    assert len(first) == MADE_UP_ORDERS
    assert times == sorted(times)


def test_the_two_flows_are_interleaved_by_time_and_the_real_rows_keep_their_order() -> None:
    orders = [record for topic, record in trading_day(2) if isinstance(record, Order)]
    times = [order.sent_time_ns for order in orders]
    assert times == sorted(times)
    assert [order for order in orders if order.symbol == SYMBOL] == list(real_orders(real_accounts(2)))


def test_what_orders_need_comes_before_them_and_the_next_business_date_after() -> None:
    day = list(trading_day(2))
    topics = list(dict.fromkeys(topic for topic, _ in day))
    sessions = [record for _, record in day if isinstance(record, SessionEvent)]
    assert topics == [
        Topic.INSTRUMENTS,
        Topic.ACCOUNTS,
        Topic.WALLET_COMMANDS,
        Topic.SESSIONS,
        Topic.ORDERS,
    ]
    assert [(event.kind, event.business_date.isoformat()) for event in sessions] == [
        (SessionKind.PRE_OPEN, "2019-05-23"),
        (SessionKind.OPEN, "2019-05-23"),
        (SessionKind.CLOSED, "2019-05-23"),
        (SessionKind.PRE_OPEN, "2019-05-24"),
        (SessionKind.OPEN, "2019-05-24"),
    ]
    assert [topic for topic, _ in day[-4:]] == [Topic.ORDERS, *[Topic.SESSIONS] * 3]


def test_every_account_gets_cash_and_shares_of_what_it_trades() -> None:
    deposits = [record for _, record in trading_day(2) if isinstance(record, WalletCommand)]
    orders = [record for _, record in trading_day(2) if isinstance(record, Order)]
    funded = {(deposit.account_id, deposit.asset) for deposit in deposits}
    assert {(order.account_id, order.symbol) for order in orders} <= funded
    assert {(order.account_id, "EUR") for order in orders} <= funded


@pytest.mark.parametrize("name", ["day.jsonl", "day.jsonl.gz"])
def test_the_event_file_has_the_same_bytes_each_time(tmp_path: Path, name: str) -> None:
    first, second = tmp_path / f"1-{name}", tmp_path / f"2-{name}"
    assert write_day(first, 2) == write_day(second, 2) == sum(1 for _ in day_lines(2))
    assert first.read_bytes() == second.read_bytes()
