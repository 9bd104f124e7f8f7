"""Derive every id from the position of the input that caused it, so that ids are never random.

A position is `<topic>/<partition>/<offset>`; an `event_id` is a position followed by one part for each stage that it
went through (`orders/3/1234/v0/r0`).
"""

from collections.abc import Iterator
from itertools import count

ORDERS_PREFIX = "orders/"
POSITION_PARTS = 3


def position(topic: str, partition: int, offset: int) -> str:
    """Name a record from outside: the `event_id` that it is given."""
    return f"{topic}/{partition}/{offset}"


def source(event_id: str) -> str:
    """Return the position of the outside input that began this chain of events."""
    return "/".join(event_id.split("/", POSITION_PARTS)[:POSITION_PARTS])


def shortened(place: str) -> str:
    """Shorten a position to the form used in ids: `orders/3/1234` to `3-1234`, any other topic in full."""
    return place.removeprefix(ORDERS_PREFIX).replace("/", "-")


def order_id(cause: str) -> str:
    """Return the order id that validation gives to the order at this position."""
    return shortened(cause)


def trade_ids(cause: str) -> Iterator[str]:
    """Yield the ids of the trades of the message that `cause` names: its source, and their number from 0."""
    stem = shortened(source(cause))
    return (f"{stem}-{place}" for place in count())


def pair_key(first: str, second: str) -> str:
    """Return the table key of a pair, as `account/symbol`; the first part never contains a slash."""
    return f"{first}/{second}"
