"""Derive every id from the position of the input that caused it, so that ids are never random.

A position is `<topic>/<partition>/<offset>`; an `event_id` is a position followed by one part for each stage that it
went through (`orders/3/1234/v0/r0`).
"""

ORDERS_PREFIX = "orders/"
FIRST_APPROVED = "/v0/r0"
"""What validation and risk add to the position of an order that is one message to one book, or to a mass cancel's first."""
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
    """Return the id of a trade of the message that `cause` names: the order it came from, and the trade's number from 0.

    An announcement makes trades in several books, and is copied into several partitions; a mass cancel may be the first
    that several books hear after a call, and so have each of them uncrossed. Such trades are named by the copy and the symbol as well.
    """
    place = source(cause)
    if place.startswith(ORDERS_PREFIX) and cause == place + FIRST_APPROVED:
        return f"{shortened(place)}-{number}"
    return f"{shortened(cause)}-{symbol}-{number}"


def pair_key(first: str, second: str) -> str:
    """Return the table key of a pair, as `account/symbol`; the first part never contains a slash."""
    return f"{first}/{second}"
