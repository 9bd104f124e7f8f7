"""Time of the generated codec against fastavro, each with a record as a Struct at one end and wire bytes at the other.

Run `python -m bench codec [--compiled]`. Every figure is the best of many short rounds, and the contestants take turns, so
that a busy machine troubles all of them alike.
"""

import datetime as dt
import io
import sys
import timeit
from collections.abc import Callable, Mapping
from itertools import count

import msgspec
from fastavro import schemaless_reader, schemaless_writer

from bourse.schemas.codec import Codec
from bourse.schemas.ids import LocalIds, current
from bourse.schemas.records import (
    ApprovedOrder,
    Liquidity,
    Order,
    OrderAction,
    OrderEvent,
    OrderStatus,
    OrderType,
    Record,
    Side,
    TimeInForce,
    Trade,
    Wallet,
)
from bourse.schemas.units import Cash, Price, Quantity, TimeNs

ROUNDS = 40
TIMES_A_ROUND = 2_000
HEADER_BYTES = 5
DAY = dt.date(2019, 5, 23)
NOW = TimeNs(1_558_594_830_216_000_000)

ORDER = Order(
    OrderAction.NEW,
    "c12345",
    "ACC-0012",
    None,
    "ANA",
    Side.BUY,
    OrderType.LIMIT,
    TimeInForce.DAY,
    Quantity(100),
    Price(958_000),
)
RECORDS: Mapping[str, Record] = {
    "Order (18 fields)": msgspec.structs.replace(ORDER, sent_time_ns=NOW),
    "ApprovedOrder (28)": ApprovedOrder(
        "orders/3/1234/v0/r0",
        "3-1234",
        OrderAction.NEW,
        "c12345",
        "ACC-0012",
        "ANA",
        side=Side.BUY,
        quantity=Quantity(100),
        price=Price(958_000),
        participant_id="P1",
        event_time_ns=NOW,
        market="XMAD",
        business_date=DAY,
    ),
    "Trade (20)": Trade(
        "orders/3/1234/v0/r0/m3",
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
        Cash(300),
        Quantity(100),
        Quantity(0),
        "XMAD",
        DAY,
        NOW,
        "EUR",
        2,
    ),
    "OrderEvent (15)": OrderEvent(
        "orders/3/1234/v0/r0/m4",
        "3-1234",
        "c12345",
        "ACC-0012",
        "ANA",
        OrderStatus.FILLED,
        None,
        None,
        Quantity(100),
        Quantity(100),
        Quantity(0),
        Price(958_000),
        Quantity(100),
        NOW,
    ),
    "Wallet (3)": Wallet(1_000_000_000, 95_800_000, 0),
}


def fastavro_encoder(name: str) -> Callable[[Record], bytes]:
    """Return fastavro's way from a Struct to wire bytes."""
    schema = current(name).parsed
    header = b"\x00" + current(name).local_id().to_bytes(4, "big")

    def encode(record: Record) -> bytes:
        stream = io.BytesIO()
        stream.write(header)
        schemaless_writer(stream, schema, msgspec.structs.asdict(record))
        return stream.getvalue()

    return encode


def fastavro_decoder(record_type: type[Record]) -> Callable[[bytes], Record]:
    """Return fastavro's way from wire bytes to a Struct."""
    schema = current(record_type.__name__).parsed

    def decode(data: bytes) -> Record:
        stream = io.BytesIO(data)
        stream.seek(HEADER_BYTES)
        return msgspec.convert(
            schemaless_reader(stream, schema, None), record_type, builtin_types=(bytes, dt.date)
        )

    return decode


def best(contestants: Mapping[str, Callable[[], object]]) -> Mapping[str, float]:
    """Return the least microseconds for each."""
    least = dict.fromkeys(contestants, float("inf"))
    for _ in range(ROUNDS):
        for name, run in contestants.items():
            taken = timeit.timeit(run, number=TIMES_A_ROUND) / TIMES_A_ROUND * 1e6
            least[name] = min(least[name], taken)
    return least


def contest(record: Record) -> Mapping[str, Callable[[], object]]:
    """Return what runs against what for one record; the bytes and the records of both are held equal first."""
    codec = Codec(LocalIds())
    encode, decode = codec.encoder(type(record)), codec.decoder(type(record))
    their_encode, their_decode = fastavro_encoder(type(record).__name__), fastavro_decoder(type(record))
    data = encode(record)
    if not (their_encode(record) == data and their_decode(data) == record == decode(data)):
        sys.exit(f"the codecs disagree on {record}")
    return {
        "encode": lambda: encode(record),
        "fastavro encode": lambda: their_encode(record),
        "decode": lambda: decode(data),
        "fastavro decode": lambda: their_decode(data),
    }


def encode_with_misses() -> float:
    """Return the microseconds for an order whose account, price and time were never met before."""
    encode = Codec(LocalIds()).encoder(Order)
    orders = (
        Order(
            OrderAction.NEW,
            f"c{n}",
            f"ACC-{n}",
            None,
            "ANA",
            Side.BUY,
            OrderType.LIMIT,
            TimeInForce.DAY,
            Quantity(100),
            Price(10**6 + n),
            sent_time_ns=TimeNs(NOW + n),
        )
        for n in count()
    )
    made = [next(orders) for _ in range(50_000)]
    return timeit.timeit(lambda: [encode(order) for order in made], number=1) / len(made) * 1e6


def main(_arguments: list[str] | None = None) -> None:
    """Print the table."""
    print(f"{'microseconds':20}{'encode':>9}{'fastavro':>10}{'':>7}{'decode':>9}{'fastavro':>10}{'':>7}")
    for name, record in RECORDS.items():
        encode, their_encode, decode, their_decode = best(contest(record)).values()
        print(
            f"{name:20}{encode:9.2f}{their_encode:10.2f}{their_encode / encode:6.1f}x"
            f"{decode:9.2f}{their_decode:10.2f}{their_decode / decode:6.1f}x"
        )
    print(f"an Order whose account, price and time are all new: encode {encode_with_misses():.2f}")


if __name__ == "__main__":
    main()
