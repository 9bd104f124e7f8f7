"""What a careless or hostile producer sends: each is a dead letter with its bytes, or a refusal with a reason."""

import datetime as dt
import struct
from random import Random
from typing import Any

import pytest
from confluent_kafka import Producer

from bourse.schemas.records import (
    Account,
    Instrument,
    Order,
    OrderAction,
    OrderType,
    SessionEvent,
    SessionKind,
    Side,
    TimeInForce,
    Trade,
    WalletAction,
    WalletCommand,
)
from tests.agents.workers import Workers

BIG = 2**63 - 1


def order(client_order_id: str, account: str = "A", **changes: Any) -> Order:
    fields: dict[str, Any] = {
        "action": OrderAction.NEW,
        "symbol": "S",
        "side": Side.BUY,
        "order_type": OrderType.LIMIT,
        "time_in_force": TimeInForce.DAY,
        "quantity": 10,
        "price": 1_000,
        **changes,
    }
    return Order(client_order_id=client_order_id, account_id=account, **fields)


def cancel(client_order_id: str, target: str, account: str = "A") -> Order:
    return Order(OrderAction.CANCEL, client_order_id, account, target, "S")


REFUSED: dict[str, tuple[list[Order], str]] = {
    "unknown account": ([order("1", "nobody")], "UNKNOWN_ACCOUNT"),
    "unknown symbol": ([order("2", symbol="T")], "UNKNOWN_SYMBOL"),
    "no symbol": ([order("2a", symbol=None)], "UNKNOWN_SYMBOL"),
    "zero quantity": ([order("3", quantity=0)], "INVALID_QUANTITY"),
    "negative quantity": ([order("4", quantity=-5)], "INVALID_QUANTITY"),
    "zero price": ([order("5", price=0)], "INVALID_PRICE"),
    "negative price": ([order("6", price=-10)], "INVALID_PRICE"),
    "no price": ([order("7", price=None)], "MISSING_PRICE"),
    "no side": ([order("8", side=None)], "MISSING_SIDE"),
    "overflowing value": ([order("9", quantity=BIG, price=BIG - BIG % 10)], "VALUE_OVERFLOW"),
    "price off the tick": ([order("10", price=1_001)], "WRONG_TICK"),
    "control characters in an id": ([order("a\tb")], "MALFORMED_ID"),
    "over-long id": ([order("x" * 65)], "MALFORMED_ID"),
    "empty id": ([order("")], "MALFORMED_ID"),
    "900 KB id": ([order("y" * 900_000)], "MALFORMED_ID"),
    "more than the account has": ([order("11", quantity=10**9)], "INSUFFICIENT_CASH"),
    "shares it does not have": ([order("12", side=Side.SELL)], "INSUFFICIENT_SHARES"),
    "cancel of an unknown order": ([cancel("13", "nothing")], "UNKNOWN_ORDER"),
    "cancel of another's order": ([order("14"), cancel("15", "14", account="B")], "UNKNOWN_ORDER"),
    "cancel of a finished order": ([order("16"), cancel("17", "16"), cancel("18", "16")], "ORDER_FINISHED"),
    "repeated id, same body": ([order("19"), order("19")], "RETRY"),
    "repeated id, other body": ([order("20"), order("20", quantity=11)], "DUPLICATE_CLIENT_ORDER_ID"),
}


@pytest.fixture
def open_market(workers: Workers) -> Workers:
    """One worker; accounts A and B with cash, symbol S with a tick of 10, market open."""
    workers.start("w0")
    workers.publish(
        [
            ("instruments", "S", Instrument(symbol="S", market="XMAD", tick_size=10)),
            ("accounts", "A", Account("A")),
            ("accounts", "B", Account("B")),
            ("sessions", "XMAD", SessionEvent("XMAD", SessionKind.OPEN, None, dt.date(2026, 1, 5))),
            ("wallet-commands", "A", WalletCommand(WalletAction.DEPOSIT, "d1", "A", "EUR", 10**7)),
            ("wallet-commands", "B", WalletCommand(WalletAction.DEPOSIT, "d1", "B", "EUR", 10**7)),
        ]
    )
    return workers


def test_refused_with_a_reason(open_market: Workers) -> None:
    workers = open_market
    for orders, _ in REFUSED.values():
        for each in orders:
            workers.send("orders", each.account_id, each)
            workers.flush()
            # Orders of several accounts are meant to be seen in this order.
            workers.drain()
    by_client: dict[tuple[str, str], list[str]] = {}
    for event in workers.records("order-events"):
        if event.reason is not None:
            by_client.setdefault((event.account_id, event.client_order_id), []).append(event.reason)
    found = {
        name: by_client.get((orders[-1].account_id, shown(orders[-1].client_order_id)), [])
        for name, (orders, _) in REFUSED.items()
    }
    assert found == {name: [reason] for name, (_, reason) in REFUSED.items()}
    assert workers.records("dead-letters") == []
    workers.assert_alive()


def shown(client_order_id: str) -> str:
    """Malformed ids are clipped and cleaned in events."""
    return client_order_id[:64].replace("\t", "?")


def test_dead_letters_keep_the_bytes_and_neighbours_are_not_delayed(open_market: Workers) -> None:
    workers = open_market
    home = workers.wire.partition_of["A"]
    good = workers.wire.encoders[Order](order("good"))
    trade = workers.wire.encoders[Trade](
        Trade("", "t", "S", "A", Side.BUY, "o", "c", "B", "p", 10, 1, "MAKER")  # type: ignore[arg-type]
    )
    poison: dict[bytes, tuple[bytes | None, bytes | None, int]] = {
        b"not Avro": (b"A", b"hello", home),
        b"unknown schema id": (b"A", b"\0" + struct.pack(">I", 2**31 - 7) + good[5:], home),
        b"another topic's record": (b"A", trade, home),
        b"truncated": (b"A", good[:-3], home),
        b"trailing bytes": (b"A", good + b"!", home),
        b"no value": (b"A", None, home),
        b"empty value": (b"A", b"", home),
        b"another key": (b"C", good, home),
        b"no key": (None, good, home),
        b"key is no text": (b"\xff\xfe", good, home),
        b"wrong partition": (b"A", good, 1 - home),
        b"900 KB of nothing": (b"A", b"z" * 900_000, home),
    }
    for number, (key, value, partition) in enumerate(poison.values()):
        neighbour = order(f"n{number}")
        workers.send("orders", "A", neighbour)
        workers.raw("orders", key, value, partition)
    workers.send("orders", "A", order("last"))
    workers.flush()
    workers.drain()
    letters = workers.records("dead-letters")
    sent = sorted((key or b"", value or b"") for key, value, _ in poison.values())
    assert sorted((d.key or b"", d.value or b"") for d in letters) == sent
    assert all(d.topic == "orders" and d.stage == "validation" and d.error for d in letters)
    accepted = {e.client_order_id for e in workers.records("order-events") if e.status == "RISK_APPROVED"}
    assert accepted == {f"n{number}" for number in range(len(poison))} | {"last"}
    workers.assert_alive()


def test_a_record_that_is_bigger_than_kafka_takes_back_stops_nobody(open_market: Workers) -> None:
    workers, dice = open_market, Random(1)
    home = workers.wire.partition_of["A"]
    key, value = dice.randbytes(1_000_000), dice.randbytes(40_000)
    unbounded = {"message.max.bytes": 30_000_000, "compression.type": "lz4"}
    stranger = Producer({"bootstrap.servers": workers.settings.broker, **unbounded})
    stranger.produce(workers.settings.topic("orders"), value, key, home)
    stranger.produce(workers.settings.topic("orders"), bytes(20_000_000), b"A", home)
    assert stranger.flush(30) == 0
    workers.send("orders", "A", order("last"))
    workers.flush()
    workers.drain()
    kept, left = workers.records("dead-letters")
    assert (kept.key, kept.value) == (key, value)
    assert (left.key, left.value) == (None, None)
    assert left.error.endswith(f"left at orders/{home}/{left.offset}")
    assert [e.client_order_id for e in workers.records("order-events") if e.status == "OPEN"] == ["last"]
    workers.assert_alive()


def test_poison_in_every_other_topic_becomes_a_dead_letter(open_market: Workers) -> None:
    workers = open_market
    topics = ["accounts", "participants", "wallet-commands", "instruments", "sessions", "corporate-actions"]
    topics += ["risk-approved", "trades", "releases"]
    for topic in topics:
        workers.raw(topic, b"A", b"\0\0\0", workers.wire.partition_of["A"])
    workers.raw("announcements", b"A", b"", 0)
    workers.send("orders", "A", order("last"))
    workers.flush()
    workers.drain()
    letters = workers.records("dead-letters")
    assert {d.topic for d in letters} == {*topics, "announcements"}
    # Each of the five stages that read announcements says so for itself, under an id of its own.
    assert len({d.event_id for d in letters}) == len(letters) == len(topics) + 5
    workers.assert_alive()


def test_wallet_commands_that_cannot_be_granted_are_refused(open_market: Workers) -> None:
    workers = open_market
    commands = {
        "unknown account": (WalletCommand(WalletAction.DEPOSIT, "1", "nobody", "EUR", 5), "UNKNOWN_ACCOUNT"),
        "nothing": (WalletCommand(WalletAction.DEPOSIT, "2", "A", "EUR", 0), "INVALID_AMOUNT"),
        "negative": (WalletCommand(WalletAction.DEPOSIT, "3", "A", "EUR", -1), "INVALID_AMOUNT"),
        "overflow": (WalletCommand(WalletAction.DEPOSIT, "4", "A", "EUR", BIG), "BALANCE_OVERFLOW"),
        "too much": (WalletCommand(WalletAction.WITHDRAW, "5", "A", "EUR", 10**8), "INSUFFICIENT_BALANCE"),
        "retry": (WalletCommand(WalletAction.DEPOSIT, "d1", "A", "EUR", 10**7), "RETRY"),
        "other body": (WalletCommand(WalletAction.DEPOSIT, "d1", "B", "EUR", 1), "DUPLICATE_REQUEST"),
    }
    for command, _ in commands.values():
        workers.send("wallet-commands", command.account_id, command)
    workers.flush()
    workers.drain()
    refused = [t for t in workers.records("wallet-transactions") if t.kind == "REFUSED"]
    assert sorted((t.account_id, t.reason) for t in refused) == sorted(
        (command.account_id, reason) for command, reason in commands.values()
    )
    assert all(t.available_delta == t.blocked_delta == t.unsettled_delta == 0 for t in refused)
    workers.assert_alive()
