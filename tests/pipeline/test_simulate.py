"""The flow over an event file: what enters where, what comes out, and what is an error of the file."""

import base64
import json
from collections.abc import Iterable

import pytest

from bourse.pipeline import letters
from bourse.pipeline.outputs import Topic
from bourse.pipeline.simulate import SimEvent, simulate, simulate_lines
from bourse.schemas.jsonform import JsonFormError, event_line
from bourse.schemas.records import (
    Account,
    Announcement,
    AnnouncementKind,
    ApprovedOrder,
    DeadLetter,
    Instrument,
    MarketDataEvent,
    OrderAction,
    Side,
    TapePrint,
    ValidatedOrder,
)
from tests.account_strategies import MONDAY, command, new_order, reference_data


def line(topic: str, **value: object) -> bytes:
    return json.dumps({"topic": topic, "value": value}).encode()


def run(*lines: bytes) -> list[dict[str, object]]:
    return [json.loads(output) for output in simulate_lines(lines)]


def topics_of(outputs: Iterable[SimEvent]) -> list[str]:
    return [output.topic for output in outputs]


OPENING = [
    line("instruments", symbol="AAA", market="XONE"),
    line("accounts", account_id="ANN"),
    line("accounts", account_id="BEN"),
    line("wallet-commands", action="DEPOSIT", request_id="1", account_id="ANN", asset="EUR", amount=10_000),
    line("wallet-commands", action="DEPOSIT", request_id="1", account_id="BEN", asset="AAA", amount=10),
]
TRADE = [
    line(
        "orders",
        action="NEW",
        client_order_id=str(place),
        account_id=account_id,
        symbol="AAA",
        side=side,
        quantity=5,
        price=300,
    )
    for place, (account_id, side) in enumerate([("ANN", "BUY"), ("BEN", "SELL")])
]


def test_all_that_follows_from_a_line_comes_before_what_follows_from_the_next() -> None:
    outputs = run(*OPENING, *TRADE)
    sources = ["/".join(str(output["value"]["event_id"]).split("/")[:3]) for output in outputs]
    assert sources == sorted(sources, key=sources.index)
    assert list(dict.fromkeys(sources)) == [
        "instruments/0/0",
        "wallet-commands/0/0",
        "wallet-commands/0/1",
        "orders/0/0",
        "orders/0/1",
    ]
    assert [
        output["topic"] for output in outputs if output["value"]["event_id"].startswith("orders/0/1")
    ] == [
        "validated",
        "order-events",
        "risk-approved",
        "order-events",
        "wallet-transactions",
        "trades",
        "trades",
        "tape",
        "order-events",
        "order-events",
        "book-updates",
        "wallet-transactions",
        "wallet-transactions",
        "positions",
        "wallet-transactions",
        "wallet-transactions",
        "positions",
        "settlements",
        "settlements",
    ]


def test_the_same_input_gives_the_same_bytes() -> None:
    assert list(simulate_lines([*OPENING, *TRADE])) == list(simulate_lines([*OPENING, b"  \n", *TRADE]))


def test_records_give_the_same_outputs_as_lines() -> None:
    events = [*reference_data(), SimEvent(Topic.WALLET_COMMANDS, "ANN", command(amount=50_000))]
    events.append(SimEvent(Topic.ORDERS, None, new_order()))
    lines = [event_line(event.topic, event.key, event.record) for event in events]
    by_record = [event_line(output.topic, output.key, output.record) for output in simulate(events)]
    assert len(by_record) == 11
    # A null key stands for the record's own.
    assert list(simulate_lines(lines)) == by_record


def test_what_a_tail_shows_can_be_fed_again() -> None:
    shown = {"topic": "accounts", "partition": 3, "offset": 7, "timestamp_ms": 1_704_704_400_000}
    order = {"action": "NEW", "client_order_id": "c", "account_id": "ANN", "symbol": "AAA", "side": "BUY"}
    lines = [
        line("instruments", symbol="AAA"),
        json.dumps({**shown, "key": "ANN", "value": {"account_id": "ANN"}}).encode(),
        json.dumps({**shown, "topic": "orders", "key": "ANN", "value": order}).encode(),
    ]
    (event,) = run(*lines)[1:]
    assert event["value"]["event_id"] == "orders/0/0/v0"
    assert event["value"]["event_time_ns"] == 1_704_704_400_000_000_000


def test_a_line_enters_at_the_stage_that_reads_its_topic() -> None:
    # Given orders that come in behind risk: no account, wallet or instrument is known
    buy, sell = (
        ApprovedOrder("", f"o{place}", OrderAction.NEW, "c", name, "AAA", side=side, quantity=5, price=300)
        for place, (name, side) in enumerate([("ANN", Side.BUY), ("BEN", Side.SELL)])
    )
    outputs = list(simulate([SimEvent(Topic.RISK_APPROVED, None, order) for order in (buy, sell)]))
    # Then they trade, are held and are settled, and no wallet moves
    assert topics_of(outputs) == [
        "order-events",
        "book-updates",
        "trades",
        "trades",
        "tape",
        "order-events",
        "order-events",
        "book-updates",
        "positions",
        "positions",
        "settlements",
        "settlements",
    ]
    assert [output.record.event_id for output in outputs[:3]] == [
        "risk-approved/0/0/m0",
        "risk-approved/0/0/m1",
        "risk-approved/0/1/m0",
    ]


def test_what_stages_write_and_read_can_come_in_too() -> None:
    told = Announcement("x/0/0/a0", AnnouncementKind.INSTRUMENT, Instrument("AAA", market="XONE"))
    validated = ValidatedOrder(
        "orders/4/5/v0", "4-5", OrderAction.NEW, "c", "ANN", "AAA", side=Side.BUY, quantity=1, price=1
    )
    deposit = command(asset="AAA")
    events = [
        SimEvent(Topic.ANNOUNCEMENTS, "anything", told),
        SimEvent(Topic.ACCOUNTS, None, Account("ANN")),
        SimEvent(Topic.VALIDATED, None, validated),
        SimEvent(Topic.WALLET_COMMANDS, None, deposit),
    ]
    outputs = list(simulate(events))
    assert topics_of(outputs) == ["order-events", "wallet-transactions", "positions"]
    assert outputs[0].record.event_id == "orders/4/5/v0/r0"
    # And a wallet transaction from outside reaches positions, if it brings something in
    wallet_log = [event for event in outputs if event.topic is Topic.WALLET_TRANSACTIONS]
    assert topics_of(simulate([events[0], *wallet_log])) == ["positions"]


def test_a_topic_that_no_stage_reads_yet_is_taken_and_left() -> None:
    assert list(simulate([SimEvent(Topic.MARKET_DATA, None, MarketDataEvent("AAA"))])) == []


def test_the_flows_results_are_no_input() -> None:
    printed = TapePrint("e", "AAA", "t", 1, 1, Side.BUY, MONDAY)
    with pytest.raises(JsonFormError, match="no stage reads tape: it is for analytics and people"):
        list(simulate([SimEvent(Topic.TAPE, None, printed)]))
    with pytest.raises(JsonFormError, match="no stage reads dead-letters"):
        list(simulate([SimEvent(Topic.DEAD_LETTERS, None, DeadLetter("e", "orders", 0, 0, "risk", "x"))]))


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (b"{", "line 2: "),
        (b"\xff", "line 2: "),
        (b'{"topic": "accounts"}', "line 2: .*value"),
        (b'{"topic": "accountz", "value": {}}', "line 2: there is no topic 'accountz'"),
        (b'{"topic": "tape", "value": {}}', "line 2: no stage reads tape"),
    ],
)
def test_a_line_that_is_no_event_is_an_error_with_its_number(bad: bytes, told: str) -> None:
    with pytest.raises(JsonFormError, match=told):
        list(simulate_lines([OPENING[0], bad]))


def dead_letter(*lines: bytes) -> tuple[dict[str, object], object]:
    (output,) = run(*lines)
    assert output["topic"] == "dead-letters"
    value = output["value"]
    assert isinstance(value, dict)
    return value, output["key"]


@pytest.mark.parametrize(
    "value",
    ["null", '{"account_id":1e400}', '{"account_id": 5}', '{"account_id":"A","no_such_field":1}', "[]"],
)
def test_a_value_that_is_no_record_of_its_topic_is_a_dead_letter(value: str) -> None:
    raw = f'{{"topic": "accounts", "key": "A", "value": {value}, "timestamp_ms": 9}}'.encode()
    letter, key = dead_letter(line("accounts", account_id="ANN"), raw)
    assert key == "A"
    assert (letter["event_id"], letter["stage"]) == ("accounts/0/1/v0", "validation")
    assert (letter["topic"], letter["partition"], letter["offset"]) == ("accounts", 0, 1)
    assert base64.b64decode(str(letter["value"])) == value.encode()
    assert base64.b64decode(str(letter["key"])) == b"A"
    assert letter["event_time_ns"] == 9_000_000


def test_a_value_that_is_no_record_is_one_dead_letter_however_many_stages_read_it() -> None:
    letter, _ = dead_letter(b'{"topic": "announcements", "value": 5}')
    assert (letter["event_id"], letter["key"]) == ("announcements/0/0/v0", None)


def test_a_value_of_a_topic_that_no_stage_reads_yet_is_left() -> None:
    assert run(b'{"topic": "market-data", "value": 5}') == []


def test_a_key_that_is_not_the_records_own_is_a_dead_letter() -> None:
    letter, key = dead_letter(b'{"topic": "accounts", "key": "BEN", "value": {"account_id": "ANN"}}')
    assert key == "BEN"
    assert letter["error"] == "key 'BEN' is not the record's account_id 'ANN'"
    assert base64.b64decode(str(letter["value"])) == b'{"account_id": "ANN"}'


def test_reference_data_that_cannot_be_are_a_dead_letter() -> None:
    letter, _ = dead_letter(line("instruments", symbol="AAA", tick_size=0))
    assert (letter["stage"], letter["event_id"]) == ("announcer", "instruments/0/0/a0")


def test_a_record_too_big_for_a_letter_is_left_where_it_is() -> None:
    letter, _ = dead_letter(b'{"topic": "orders", "key": "A", "value": "%s"}' % (b"z" * letters.MOST_BYTES))
    assert (letter["key"], letter["value"]) == (None, None)
    assert str(letter["error"]).endswith("left at orders/0/0")


def test_a_record_without_its_bytes_is_a_dead_letter_in_json() -> None:
    (output,) = simulate([SimEvent(Topic.ACCOUNTS, "BEN", Account("ANN"))])
    assert isinstance(output.record, DeadLetter)
    assert output.record.value is not None
    assert json.loads(output.record.value)["account_id"] == "ANN"
