"""The generated codec against fastavro, and against bytes that are no records."""

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec
import pytest
from fastavro.types import Schema as AvroSchema
from hypothesis import given, settings
from hypothesis import strategies as st

from bourse.schemas import wire
from bourse.schemas.codec import Codec, DecodeError, EncodeError
from bourse.schemas.ids import LocalIds, Schema, current, earlier_versions
from bourse.schemas.records import (
    ROW_RECORDS,
    TOPIC_RECORDS,
    Announcement,
    AnnouncementKind,
    BookLevel,
    BookUpdate,
    DeadLetter,
    Halt,
    Liquidity,
    MarketState,
    Order,
    OrderAction,
    OrderEvent,
    OrderStatus,
    Record,
    SessionEvent,
    SessionKind,
    Side,
    Trade,
    Wallet,
)
from bourse.schemas.units import Cash, Price, Quantity, TimeNs

ALL_RECORDS = TOPIC_RECORDS + ROW_RECORDS
HEADER_BYTES = 5
AnyRecord = Callable[[type[Record]], st.SearchStrategy[Record]]


class Oracle(Protocol):
    def encode(self, record: Record, schema: AvroSchema) -> bytes: ...
    def decode(self, data: bytes, schema: AvroSchema, record_type: type[Record]) -> Record: ...


TRADE = Trade(
    "orders/3/1234/v0/r0/m0",
    "3-1234-0",
    "ANA",
    "ACC-0012",
    Side.BUY,
    "3-1234",
    "c12345",
    "ACC-0100",
    "3-1200",
    Price(958_000),
    Quantity(100),
    Liquidity.TAKER,
    trade_date=dt.date(2019, 5, 23),
    event_time_ns=TimeNs(1_558_594_830_216_000_000),
)
ORDER = Order(OrderAction.NEW, "c1", "ACC-0012", symbol="ANA", side=Side.SELL, price=Price(958_000))


@pytest.mark.parametrize("record_type", ALL_RECORDS)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_bytes_are_those_of_fastavro_and_come_back_as_the_same_record(
    record_type: type[Record], data: st.DataObject, any_record: AnyRecord, codec: Codec, oracle: Oracle
) -> None:
    record = data.draw(any_record(record_type))
    schema = current(record_type.__name__).parsed

    encoded = codec.encoder(record_type)(record)

    assert encoded[HEADER_BYTES:] == oracle.encode(record, schema)
    assert codec.decoder(record_type)(encoded) == record
    assert oracle.decode(encoded, schema, record_type) == record


@pytest.mark.parametrize("record_type", ALL_RECORDS)
@given(data=st.data())
@settings(max_examples=5, deadline=None)
def test_every_truncation_is_a_decode_error(
    record_type: type[Record], data: st.DataObject, any_record: AnyRecord, codec: Codec
) -> None:
    encoded = codec.encoder(record_type)(data.draw(any_record(record_type)))
    decode = codec.decoder(record_type)

    for length in range(len(encoded)):
        with pytest.raises(DecodeError):
            decode(encoded[:length])


@pytest.mark.parametrize("record_type", ALL_RECORDS)
@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_a_changed_byte_is_a_decode_error_or_what_fastavro_reads_too(
    record_type: type[Record], data: st.DataObject, any_record: AnyRecord, codec: Codec, oracle: Oracle
) -> None:
    encoded = bytearray(codec.encoder(record_type)(data.draw(any_record(record_type))))
    encoded[data.draw(st.integers(HEADER_BYTES, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    changed = bytes(encoded)

    try:
        record = codec.decoder(record_type)(changed)
    except DecodeError:
        return

    assert oracle.decode(changed, current(record_type.__name__).parsed, record_type) == record


@given(
    record_type=st.sampled_from(ALL_RECORDS),
    body=st.binary(max_size=300),
    header_bytes=st.sampled_from((0, HEADER_BYTES)),
)
@settings(max_examples=1000, deadline=None)
def test_arbitrary_bytes_are_a_record_or_a_decode_error(
    record_type: type[Record], body: bytes, header_bytes: int, codec: Codec
) -> None:
    header = wire.NULL + current(record_type.__name__).local_id().to_bytes(4, "big")

    try:
        record = codec.decoder(record_type)(header[:header_bytes] + body)
    except DecodeError:
        return

    assert isinstance(record, record_type)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (None, "Order: no value"),
        (b"", "Order: no value"),
        (b"\x01\x00\x00\x00\x01x", "Order: the first byte is 1, not the magic 0"),
        (b"\x00\x00\x00", "Order: the bytes end within the schema id"),
        (b"\x00\x00\x00\x00\x07x", "Order: unknown schema id 7"),
    ],
)
def test_what_has_no_known_schema_is_refused_with_the_reason(
    data: bytes | None, reason: str, codec: Codec
) -> None:
    with pytest.raises(DecodeError) as refusal:
        codec.decoder(Order)(data)

    assert str(refusal.value) == reason


def test_another_record_is_refused_by_its_name(codec: Codec) -> None:
    with pytest.raises(DecodeError, match=r"^a Trade where an Order was expected$"):
        codec.decoder(Order)(codec.encoder(Trade)(TRADE))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda body: body + b"\x00", "Halt: 1 bytes too many"),
        (lambda _: b"", "Halt: the bytes end within the record"),
        (lambda _: b"\x80" * 8, "Halt: the bytes end within the record"),
        (lambda _: b"\xff" * 9 + b"\x02", "Halt: a number is longer than 64 bits"),
        (lambda _: b"\xff" * 11, "Halt: a number is longer than 64 bits"),
    ],
)
def test_a_number_that_is_none_is_refused(
    change: Callable[[bytes], bytes], reason: str, codec: Codec
) -> None:
    encoded = codec.encoder(Halt)(Halt(TimeNs(5)))

    with pytest.raises(DecodeError, match=f"^{reason}$"):
        codec.decoder(Halt)(encoded[:HEADER_BYTES] + change(encoded[HEADER_BYTES:]))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\x10", "MarketState: the bytes end within the record"),
        (b"\x08XM", "MarketState: the bytes end within the record"),
        (b"\x01", "MarketState: a length is negative"),
        (b"\x02\xff", "MarketState: the text at byte 5 is not UTF-8"),
        (b"\x08XMAD\x11", "MarketState: byte 10 is no index of an enum, a union or a boolean"),
        (
            b"\x08XMAD\x04" + wire.encode_long(10**7) + b"\x00",
            "MarketState: 10000000 days since the epoch is no date",
        ),
    ],
)
def test_a_text_an_enum_or_a_date_that_is_none_is_refused(body: bytes, reason: str, codec: Codec) -> None:
    header = codec.encoder(MarketState)(MarketState("XMAD", SessionKind.OPEN, dt.date(2019, 5, 23)))[
        :HEADER_BYTES
    ]

    with pytest.raises(DecodeError) as refusal:
        codec.decoder(MarketState)(header + body)

    assert str(refusal.value) == reason


@pytest.mark.parametrize("branch", [b"\x01", b"\x04", b"\x80\x00"])
def test_a_union_branch_that_is_none_is_refused(branch: bytes, codec: Codec) -> None:
    encoded = codec.encoder(Order)(Order(OrderAction.NEW, "c", "A", symbol="ANA"))
    place = encoded.index(b"\x02\x06ANA")

    with pytest.raises(DecodeError, match="is no index of an enum, a union or a boolean"):
        codec.decoder(Order)(encoded[:place] + branch + encoded[place + 1 :])


def test_an_array_in_blocks_with_their_sizes_is_read(codec: Codec) -> None:
    # Avro specification, "Arrays": a negative count is followed by the block's size in bytes.
    level = BookLevel(Side.BUY, Price(5), Quantity(7), 1)
    update = BookUpdate("e", "ANA", 1, (level,), None, None, None, None, TimeNs(0))
    encoded = codec.encoder(BookUpdate)(update)
    block = b"\x00\x0a\x0e\x02"

    in_blocks = encoded.replace(b"\x02" + block + b"\x00", (b"\x01\x08" + block) * 2 + b"\x00")

    assert codec.decoder(BookUpdate)(in_blocks).changes == (level, level)


def _order(**changes: object) -> Order:
    return Order(**({"action": OrderAction.NEW, "client_order_id": "c", "account_id": "A"} | changes))


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (_order(price=2**63), "Order.price: 9223372036854775808 does not fit in 64 bits"),
        (_order(price=-(2**63) - 1), "Order.price: -9223372036854775809 does not fit in 64 bits"),
        (_order(quantity=1.5), "Order.quantity: 1.5 is not a whole number"),
        (_order(quantity=None), "Order.quantity: None is not a whole number"),
        (_order(symbol=7), "Order.symbol: 7 is not a text"),
        (_order(symbol=["ANA"]), "Order.symbol: ['ANA'] is not a text"),
        (_order(client_order_id=None), "Order.client_order_id: None is not a text"),
        (_order(client_order_id="\ud800"), "surrogates not allowed"),
        (_order(side="LEFT"), "Order.side: 'LEFT' is not one of BUY, SELL"),
        (_order(action=1), "Order.action: 1 is not one of NEW, CANCEL, REPLACE, MASS_CANCEL"),
        (_order(post_only="no"), "Order.post_only: 'no' is not a boolean"),
        (
            _order(price=2**63, symbol=7),
            "Order.symbol: 7 is not a text; Order.price: 9223372036854775808 does not",
        ),
        (TRADE, "a Trade where an Order was expected"),
        (None, "a NoneType where an Order was expected"),
    ],
)
def test_what_the_schema_cannot_carry_is_an_encode_error_that_names_the_field(
    record: Record | None, reason: str, codec: Codec
) -> None:
    with pytest.raises(EncodeError) as refusal:
        codec.encoder(Order)(record)

    assert reason in str(refusal.value)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (Wallet(Cash(True), 0, 0), "Wallet.available: True is not a whole number"),
        (MarketState("X", SessionKind.OPEN, dt.datetime(2019, 5, 23, tzinfo=dt.UTC)), "is not a date"),
        (DeadLetter("e", "t", 0, 0, "s", "e", key="k"), "DeadLetter.key: 'k' is not bytes"),
        (
            DeadLetter("e", "t", 0, 2**63, "s", "e", key=b"k"),
            "DeadLetter.offset: 9223372036854775808 does not fit",
        ),
        (BookUpdate("e", "A", 1, [], None, None, None, None), "BookUpdate.changes: [] is not a tuple"),
        (
            BookUpdate("e", "A", 1, (BookLevel("UP", Price(1), Quantity(1), 1),), None, None, None, None),
            "BookUpdate.changes: BookLevel.side: 'UP' is not one of BUY, SELL",
        ),
        (
            Announcement("e", AnnouncementKind.SESSION, session=ORDER),
            "Announcement.session: an Order where a SessionEvent was expected",
        ),
    ],
)
def test_other_types_are_encode_errors_too(record: Record, reason: str, codec: Codec) -> None:
    with pytest.raises(EncodeError) as refusal:
        codec.encoder(type(record))(record)

    assert reason in str(refusal.value)


def test_memos_forget_at_their_limit_and_say_the_same_again() -> None:
    pieces = wire.Pieces(wire.encode_long, 2)
    texts = wire.Strings(2)
    windows = wire.Windows(wire.DATE_BYTES, wire.decode_date, 2)
    days = [dt.date(2019, 5, 1) + dt.timedelta(number) for number in range(5)]

    for _ in range(2):
        assert [pieces[number] for number in range(5)] == list(map(wire.encode_long, range(5)))
        assert [texts[b"%d" % number] for number in range(5)] == list("01234")
        assert [windows[wire.encode_date(day)] for day in days] == days
        assert max(len(pieces), len(texts), len(windows)) <= 2


def test_bytes_that_are_not_one_number_of_that_length_are_none_of_the_windows() -> None:
    windows = wire.Windows(wire.DATE_BYTES, wire.decode_date)
    assert [windows[window] for window in (b"", b"\x80\x01", b"\x80\x01\x01", b"\x80\x80\x80")] == [None] * 4
    assert not windows


def test_long_texts_are_not_remembered() -> None:
    pieces = wire.Pieces(wire.encode_string)
    assert pieces["x" * 100] == wire.encode_string("x" * 100)
    assert not pieces


def test_equal_texts_come_back_as_one_object(codec: Codec) -> None:
    decode = codec.decoder(Trade)
    encoded = codec.encoder(Trade)(TRADE)
    assert decode(encoded).account_id is decode(encoded).account_id


def writable(record: Record, version: Schema) -> bool:
    """Say whether an earlier version has words for a record: an enum may have got new symbols since."""
    return all(
        getattr(record, field["name"]) in field["type"]["symbols"]
        for field in version.parsed["fields"]
        if isinstance(field["type"], dict) and field["type"]["type"] == "enum"
    )


def _as_known_to(schema: dict[str, Any], record: Record) -> Record:
    """Return the record with its default in every field that the schema has not, also within."""
    types = {field["name"]: field["type"] for field in schema["fields"]}
    changes = {
        field.name: field.default for field in msgspec.structs.fields(record) if field.name not in types
    }
    for name, type_ in types.items():
        nested = (
            next((option for option in type_ if isinstance(option, dict)), None)
            if isinstance(type_, list)
            else None
        )
        value = getattr(record, name)
        if isinstance(value, Record) and nested is not None:
            changes[name] = _as_known_to(nested, value)
        elif isinstance(value, tuple) and isinstance(type_, dict):
            changes[name] = tuple(_as_known_to(type_["items"], item) for item in value)
    return msgspec.structs.replace(record, **changes)


@pytest.mark.parametrize(
    ("record_type", "version"),
    [
        (record_type, version)
        for record_type in ALL_RECORDS
        for version in earlier_versions(record_type.__name__)
    ],
    ids=lambda case: getattr(case, "__name__", None),
)
@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_what_earlier_versions_wrote_is_read_with_the_defaults_of_what_came_later(
    record_type: type[Record],
    version: Schema,
    data: st.DataObject,
    any_record: AnyRecord,
    codec: Codec,
    oracle: Oracle,
) -> None:
    record = data.draw(any_record(record_type).filter(lambda record: writable(record, version)))
    header = wire.NULL + version.local_id().to_bytes(4, "big")
    old = header + oracle.encode(record, version.parsed)

    decode = codec.decoder(record_type)
    read = decode(old)

    assert read == _as_known_to(version.parsed, record)
    assert decode(old) == read
    for broken in (old[:-1], old + b"\x00"):
        with pytest.raises(DecodeError):
            codec.decoder(record_type)(broken)


@given(record_type=st.sampled_from((Trade, Order)), body=st.binary(max_size=200))
@settings(max_examples=500, deadline=None)
def test_arbitrary_bytes_of_an_earlier_version_are_a_record_or_a_decode_error(
    record_type: type[Record], body: bytes, codec: Codec
) -> None:
    version = earlier_versions(record_type.__name__)[0]

    try:
        record = codec.decoder(record_type)(wire.NULL + version.local_id().to_bytes(4, "big") + body)
    except DecodeError:
        return

    assert isinstance(record, record_type)


def test_the_current_schema_under_another_id_is_read() -> None:
    class OtherIds(LocalIds):
        def schema_of(self, schema_id: int) -> Schema | None:
            return current("Trade") if schema_id == 9 else super().schema_of(schema_id)

    codec = Codec(OtherIds())
    encoded = codec.encoder(Trade)(TRADE)
    under_nine = b"\x00\x00\x00\x00\x09" + encoded[HEADER_BYTES:]

    assert codec.decoder(Trade)(under_nine) == TRADE
    assert codec.decoder(Trade)(encoded) == TRADE


def test_nested_records_come_back(codec: Codec) -> None:
    session = SessionEvent("XMAD", SessionKind.CLOSED, None, dt.date(2019, 5, 23))
    announcement = Announcement("a", AnnouncementKind.SESSION, session=session)
    assert codec.decoder(Announcement)(codec.encoder(Announcement)(announcement)) == announcement


def test_long_texts_come_back(codec: Codec) -> None:
    event = OrderEvent("e" * 100, "1", "c", "A", None, OrderStatus.REJECTED, "R" * 70, "because " * 2000)
    assert codec.decoder(OrderEvent)(codec.encoder(OrderEvent)(event)) == event


def test_the_wire_header_is_magic_and_schema_id(codec: Codec) -> None:
    expected: Mapping[str, bytes] = {
        "Trade": codec.encoder(Trade)(TRADE),
        "Order": codec.encoder(Order)(ORDER),
    }
    for name, encoded in expected.items():
        assert encoded[:HEADER_BYTES] == b"\x00" + current(name).local_id().to_bytes(4, "big")
