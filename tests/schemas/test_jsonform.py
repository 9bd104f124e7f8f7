"""The JSON form: there and back, what else is taken, and what is refused by name."""

import datetime as dt
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bourse.schemas.jsonform import (
    JsonFormError,
    event_line,
    from_json,
    text_reader,
    to_json_bytes,
)
from bourse.schemas.records import (
    ROW_RECORDS,
    TOPIC_RECORDS,
    Announcement,
    AnnouncementKind,
    BookUpdate,
    DeadLetter,
    Hold,
    Order,
    OrderAction,
    PositionUpdated,
    Record,
    SessionEvent,
    SessionKind,
    Side,
    TimeInForce,
)

ALL_RECORDS = TOPIC_RECORDS + ROW_RECORDS
AnyRecord = Callable[[type[Record]], st.SearchStrategy[Record]]
NEW = {"action": "NEW", "client_order_id": "c1", "account_id": "ACC-1"}
SESSION = {"market": "XMAD", "kind": "OPEN", "business_date": "2019-05-23"}


def plain(record: Record) -> dict[str, object]:
    form: dict[str, object] = msgspec.json.decode(to_json_bytes(record))
    return form


@pytest.mark.parametrize("record_type", ALL_RECORDS)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_records_come_back_from_their_json_form(
    record_type: type[Record], data: st.DataObject, any_record: AnyRecord
) -> None:
    record = data.draw(any_record(record_type))

    assert from_json(record_type, plain(record)) == record


def test_the_plain_form_is_what_people_expect() -> None:
    session = SessionEvent("XMAD", SessionKind.OPEN, None, dt.date(2019, 5, 23))
    assert plain(session) == {
        "market": "XMAD",
        "kind": "OPEN",
        "symbol": None,
        "business_date": "2019-05-23",
        "event_time_ns": 0,
        "level": None,
    }
    assert plain(DeadLetter("e", "t", 0, 1, "s", "x", value=b"\xff"))["value"] == "/w=="


def test_fields_with_defaults_may_be_left_out_wherever_they_stand() -> None:
    order = from_json(Order, NEW)
    assert order == Order(OrderAction.NEW, "c1", "ACC-1")

    position = from_json(
        PositionUpdated,
        {
            "account_id": "A",
            "symbol": "ANA",
            "cause": "TRADE",
            "quantity_delta": 1,
            "quantity": 1,
            "settled_quantity": 0,
        },
    )
    assert (position.event_id, position.trade_id, position.currency) == ("", None, "EUR")
    assert from_json(SessionEvent, SESSION).symbol is None
    assert from_json(BookUpdate, {"event_id": "e", "symbol": "ANA", "sequence": 1}).changes == ()


@pytest.mark.parametrize(
    ("field", "given_value", "expected"),
    [
        ("symbol", {"string": "ANA"}, "ANA"),
        ("symbol", "ANA", "ANA"),
        ("symbol", None, None),
        ("price", {"long": 5}, 5),
        ("side", {"bourse.Side": "SELL"}, Side.SELL),
        ("side", {"Side": "SELL"}, Side.SELL),
        ("time_in_force", "IOC", TimeInForce.IOC),
        ("post_only", True, True),
    ],
)
def test_the_forms_of_a_value(field: str, given_value: object, expected: object) -> None:
    assert getattr(from_json(Order, NEW | {field: given_value}), field) == expected


def test_dates_are_text_days_or_avro_json() -> None:
    update = {
        "account_id": "A",
        "symbol": "S",
        "cause": "TRADE",
        "quantity_delta": 1,
        "quantity": 1,
        "settled_quantity": 0,
    }
    for form in ("2019-05-23", 18_039, {"int": 18_039}, {"int": "2019-05-23"}):
        assert from_json(PositionUpdated, update | {"trade_date": form}).trade_date == dt.date(2019, 5, 23)


def test_bytes_are_base64_or_avro_json() -> None:
    letter = {"event_id": "e", "topic": "t", "partition": 0, "offset": 1, "stage": "s", "error": "x"}
    assert from_json(DeadLetter, letter | {"value": "/w=="}).value == b"\xff"
    assert from_json(DeadLetter, letter | {"value": {"bytes": "\u00ff"}}).value == b"\xff"
    for bad in ("no base64!", 5, {"bytes": "\u0100"}, {"bytes": 5}):
        with pytest.raises(JsonFormError, match=r"DeadLetter\.value: .* is not bytes"):
            from_json(DeadLetter, letter | {"value": bad})


def test_nested_records_are_objects_or_avro_json() -> None:
    expected = Announcement(
        "",
        AnnouncementKind.SESSION,
        session=SessionEvent("XMAD", SessionKind.OPEN, None, dt.date(2019, 5, 23)),
    )
    assert from_json(Announcement, {"kind": "SESSION", "session": SESSION}) == expected
    assert (
        from_json(Announcement, {"kind": "SESSION", "session": {"bourse.SessionEvent": SESSION}}) == expected
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"price": 1.5}, "Order.price: 1.5 is not a whole number of 64 bits"),
        ({"price": 2**63}, "Order.price: 9223372036854775808 is not a whole number of 64 bits"),
        ({"price": True}, "Order.price: True is not a whole number of 64 bits"),
        ({"price": {"string": "5"}}, "Order.price: {'string': '5'} is not a whole number of 64 bits"),
        ({"quantity": None}, "Order.quantity: None is not a whole number of 64 bits"),
        ({"account_id": 7}, "Order.account_id: 7 is not a text"),
        ({"account_id": ["x" * 200]}, "Order.account_id: ['" + "x" * 98 + "... is not a text"),
        ({"side": "UP"}, "Order.side: 'UP' is not one of BUY, SELL"),
        ({"post_only": 1}, "Order.post_only: 1 is not true or false"),
        ({"qty": 1}, "Order has no field 'qty'"),
    ],
)
def test_what_does_not_fit_is_refused_by_the_name_of_its_field(
    changes: dict[str, object], reason: str
) -> None:
    with pytest.raises(JsonFormError) as refusal:
        from_json(Order, NEW | changes)

    assert str(refusal.value) == reason


@pytest.mark.parametrize(
    "date",
    ["23-05-2019", "2019-02-30", "20190523", "2019-W21-4", "2019-05-23T00:00", True, 10**9, 2**70, None, 1.5],
)
def test_a_date_that_is_none_is_refused(date: object) -> None:
    with pytest.raises(JsonFormError, match=r"^SessionEvent\.business_date: .* is not a date"):
        from_json(SessionEvent, SESSION | {"business_date": date})


def test_what_is_missing_and_has_no_default_is_named() -> None:
    with pytest.raises(JsonFormError, match=r"^Order\.client_order_id: it is missing, and has no default$"):
        from_json(Order, {"action": "NEW"})


def test_what_is_wrong_inside_a_record_is_named_by_its_path() -> None:
    level = {"side": "BUY", "price": 1, "quantity": "x", "orders": 1}
    update = {"event_id": "e", "symbol": "ANA", "sequence": 1, "changes": [level]}

    with pytest.raises(
        JsonFormError, match=r"^BookUpdate\.changes: BookLevel\.quantity: 'x' is not a whole number"
    ):
        from_json(BookUpdate, update)
    with pytest.raises(JsonFormError, match=r"^BookUpdate\.changes: 5 is not an array$"):
        from_json(BookUpdate, update | {"changes": 5})
    with pytest.raises(JsonFormError, match=r"^5 is not an object with the fields of Hold$"):
        from_json(Hold, 5)


class Line(msgspec.Struct):
    topic: str
    value: dict[str, object]
    key: str | None = None


read_line = text_reader(Line)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"5",
        b'{"topic": "orders"}',
        b'{"topic": 5, "value": {}}',
        b'{"topic": "\xff", "value": {}}',
        b'{"topic": "\\ud800", "value": {}}',
        b'{"topic": "orders", "value": {"quantity": 1e400}}',
        b'{"topic": "orders", "value": {"quantity": %s}}' % (b"9" * 5_000),
        b'{"topic": "orders", "value": {"quantity": %s}}' % (b"[" * 100_000),
    ],
)
def test_a_text_that_is_not_of_the_form_is_refused(line: bytes) -> None:
    with pytest.raises(JsonFormError):
        read_line(line)


def test_a_written_line_is_read_as_the_same_record() -> None:
    order = Order(OrderAction.NEW, "c1", "ACC-1")
    line = read_line(event_line("orders", "ACC-1", order))

    assert (line.topic, line.key) == ("orders", "ACC-1")
    assert from_json(Order, line.value) == order
