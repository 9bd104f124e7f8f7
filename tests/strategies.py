"""Hypothesis strategies for the whole flow's tests, in one place. Prices and sizes are few, so that orders meet."""

import datetime as dt
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from hypothesis import strategies as st

from bourse.schemas.records import (
    Announcement,
    AnnouncementKind,
    ApprovedOrder,
    OrderAction,
    OrderType,
    SessionEvent,
    SessionKind,
    Side,
    TimeInForce,
)
from bourse.schemas.units import Price, Quantity, TimeNs

MARKET = "XMAD"
SYMBOL = "ANA"
DAY = dt.date(2019, 5, 23)
ACCOUNTS = ("A1", "A2", "A3")

BookMessage: TypeAlias = ApprovedOrder | Announcement


class Flaw(StrEnum):
    """What is wrong with a message."""

    NO_QUANTITY = "NO_QUANTITY"
    NEGATIVE_QUANTITY = "NEGATIVE_QUANTITY"
    NO_PRICE = "NO_PRICE"
    PRICE_OF_NOTHING = "PRICE_OF_NOTHING"
    MARKET_ORDER = "MARKET_ORDER"
    STRANGER = "STRANGER"


class Intent(NamedTuple):
    """What somebody wants of the book; `pick` chooses the order meant among the last ones sent before."""

    action: OrderAction | None  # None: the market closes
    account_id: str
    side: Side
    quantity: int
    price: int
    time_in_force: TimeInForce
    pick: int
    flaw: Flaw | None


def _weighted(**weights: int) -> list[str]:
    return [name for name, weight in weights.items() for _ in range(weight)]


sides = st.sampled_from(Side)
prices = st.integers(95, 105)
quantities = st.integers(1, 12)
actions = st.sampled_from(_weighted(NEW=24, REPLACE=10, CANCEL=6, MASS_CANCEL=1, CLOSE=1)).map(
    lambda name: None if name == "CLOSE" else OrderAction(name)
)
times_in_force = st.sampled_from([TimeInForce.GTC, TimeInForce.DAY, TimeInForce.DAY, TimeInForce.IOC])
flaws = st.sampled_from([*[None] * 60, *Flaw])
intents = st.builds(
    Intent,
    actions,
    st.sampled_from(ACCOUNTS),
    sides,
    quantities,
    prices,
    times_in_force,
    st.integers(0, 7),
    flaws,
)


def _session(number: int, kind: SessionKind) -> Announcement:
    session = SessionEvent(MARKET, kind, None, DAY, TimeNs(number))
    return Announcement(
        f"sessions/0/{number}/a0", AnnouncementKind.SESSION, session=session, event_time_ns=TimeNs(number)
    )


def _approved(
    number: int, intent: Intent, action: OrderAction, target: ApprovedOrder | None
) -> ApprovedOrder:
    """Return the message as risk would let it through: it means the account's own order and knows its side."""
    own = action in {OrderAction.CANCEL, OrderAction.REPLACE} and intent.flaw is not Flaw.STRANGER
    whose = target if own else None
    return ApprovedOrder(
        event_id=f"orders/0/{number}/v0/r0",
        order_id=f"0-{number}",
        action=action,
        client_order_id=f"C{number}",
        account_id=intent.account_id if whose is None else whose.account_id,
        symbol=SYMBOL,
        target_order_id=None if target is None or action is OrderAction.NEW else target.order_id,
        side=intent.side if whose is None else whose.side,
        order_type=OrderType.MARKET if intent.flaw is Flaw.MARKET_ORDER else OrderType.LIMIT,
        time_in_force=intent.time_in_force,
        quantity=_quantity(intent),
        price=_price(intent),
        event_time_ns=TimeNs(number),
        market=MARKET,
        maker_fee_bps=10,
        taker_fee_bps=25,
        business_date=DAY,
    )


def _quantity(intent: Intent) -> Quantity:
    flawed = {Flaw.NO_QUANTITY: 0, Flaw.NEGATIVE_QUANTITY: -intent.quantity}
    return Quantity(intent.quantity if intent.flaw is None else flawed.get(intent.flaw, intent.quantity))


def _price(intent: Intent) -> Price | None:
    if intent.flaw is Flaw.NO_PRICE:
        return None
    return Price(0 if intent.flaw is Flaw.PRICE_OF_NOTHING else intent.price)


def messages_of(wanted: list[Intent]) -> list[BookMessage]:
    """Turn intents into the messages of `risk-approved` and `announcements` for one book."""
    messages: list[BookMessage] = []
    sent: list[ApprovedOrder] = []
    for number, intent in enumerate(wanted):
        if intent.action is None:
            messages.append(_session(number, SessionKind.CLOSED))
            continue
        target = sent[-1 - intent.pick % len(sent)] if sent else None
        message = _approved(number, intent, intent.action, target)
        messages.append(message)
        if intent.action is OrderAction.NEW:
            sent.append(message)
    return messages


# Most sequences are long enough for a book to fill and empty again; the short ones are what failures shrink to.
book_messages = st.one_of(
    st.lists(intents, max_size=8), st.lists(intents, min_size=30, max_size=70), st.lists(intents, min_size=30)
).map(messages_of)
