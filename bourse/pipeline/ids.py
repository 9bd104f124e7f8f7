"""Derive every id from the position of the input that caused it, so that ids are never random.

A position is `<topic>/<partition>/<offset>`; an `event_id` is a position followed by one part for each stage that it
went through (`orders/3/1234/v0/r0`).
"""

ORDERS_PREFIX = "orders/"
SESSIONS_PREFIX = "sessions/"
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


def trade_id(cause: str, symbol: str, number: int) -> str:
    """Return the id of a trade of the message that `cause` names: its source, and the trade's number from 0.

    An announcement makes trades in several books, and is copied into several partitions: its trades are named by the
    copy and the symbol as well.
    """
    place = source(cause)
    if place.startswith(SESSIONS_PREFIX):
        return f"{shortened(cause)}-{symbol}-{number}"
    return f"{shortened(place)}-{number}"


def pair_key(first: str, second: str) -> str:
    """Return the table key of a pair, as `account/symbol`; the first part never contains a slash."""
    return f"{first}/{second}"
