"""Hypothesis strategies for the whole flow's tests, in one place. Prices and sizes are few, so that orders meet."""

import datetime as dt
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from hypothesis import settings
from hypothesis import strategies as st

from bourse.schemas.records import (
    Announcement,
    AnnouncementKind,
    ApprovedOrder,
    OrderAction,
    OrderType,
    SelfTradePrevention,
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
PARTICIPANTS = {"A1": "P", "A2": "P"}
"""Two of the accounts have one owner."""

DEFAULT_EXAMPLES = 100

BookMessage: TypeAlias = ApprovedOrder | Announcement


class Flaw(StrEnum):
    """What is wrong with a message."""

    NO_QUANTITY = "NO_QUANTITY"
    NEGATIVE_QUANTITY = "NEGATIVE_QUANTITY"
    NO_PRICE = "NO_PRICE"
    PRICE_OF_NOTHING = "PRICE_OF_NOTHING"
    STRANGER = "STRANGER"


class Intent(NamedTuple):
    """What somebody wants of the book; `pick` chooses the order meant among the last ones sent before."""

    action: OrderAction | SessionKind
    account_id: str
    side: Side
    quantity: int
    price: int
    order_type: OrderType
    time_in_force: TimeInForce
    pick: int
    flaw: Flaw | None
    stop_price: int
    trail_amount: int
    lives_for: int
    collar: int | None
    display_quantity: int | None
    post_only: bool
    prevention: SelfTradePrevention
    oco_group: str | None


class Band(NamedTuple):
    """The price band of an instrument, and whether it pauses with a volatility auction."""

    bps: int | None = None
    with_auction: bool = False


NO_BAND = Band()


def examples(few: int) -> settings:
    """Return how hard to search with long streams: a few of them, or as many as a deep search asks for."""
    asked = settings().max_examples
    return settings(max_examples=few if asked <= DEFAULT_EXAMPLES else asked, deadline=None)


def _weighted(**weights: int) -> list[str]:
    return [name for name, weight in weights.items() for _ in range(weight)]


sides = st.sampled_from(Side)
prices = st.integers(95, 105)
quantities = st.integers(1, 12)
_ACTIONS = {
    "NEW": 40,
    "REPLACE": 14,
    "CANCEL": 8,
    "MASS_CANCEL": 1,
    "PRE_OPEN": 1,
    "OPENING_AUCTION": 2,
    "OPEN": 8,
    "CLOSING_AUCTION": 1,
    "CLOSED": 1,
    "HALT": 1,
    "RESUME": 6,
    "TICK": 3,
}
actions = st.sampled_from(_weighted(**_ACTIONS)).map(
    lambda name: OrderAction(name) if name in set(OrderAction) else SessionKind(name)
)
order_types = st.sampled_from(_weighted(LIMIT=12, MARKET=3, STOP=3, STOP_LIMIT=3, TRAILING_STOP=2)).map(
    OrderType
)
times_in_force = st.sampled_from(_weighted(GTC=3, DAY=6, IOC=3, FOK=2, GTD=2, AT_OPEN=1, AT_CLOSE=1)).map(
    TimeInForce
)
flaws = st.sampled_from([*[None] * 60, *Flaw])
preventions = st.sampled_from([SelfTradePrevention.NONE] * 4 + [*SelfTradePrevention])
intents = st.builds(
    Intent,
    actions,
    st.sampled_from(ACCOUNTS),
    sides,
    quantities,
    prices,
    order_types,
    times_in_force,
    st.integers(0, 7),
    flaws,
    prices,
    st.integers(1, 4),
    st.integers(1, 20),
    st.sampled_from([None, 0, 1, 3]),
    st.sampled_from([None, None, None, None, 1, 2, 5]),
    st.sampled_from([False, False, False, False, True]),
    preventions,
    st.sampled_from([None, None, None, None, "G", "H"]),
)


def _session(number: int, kind: SessionKind) -> Announcement:
    session = SessionEvent(MARKET, kind, None, DAY, TimeNs(number))
    return Announcement(
        f"sessions/0/{number}/a0", AnnouncementKind.SESSION, session=session, event_time_ns=TimeNs(number)
    )


def _approved(
    number: int, intent: Intent, action: OrderAction, target: ApprovedOrder | None, band: Band
) -> ApprovedOrder:
    """Return the message as risk would let it through: it means the account's own order and knows its side."""
    own = action in {OrderAction.CANCEL, OrderAction.REPLACE} and intent.flaw is not Flaw.STRANGER
    whose = target if own else None
    is_new = action is OrderAction.NEW
    kind = intent.order_type if is_new or target is None else target.order_type
    side = intent.side if whose is None else whose.side
    account_id = intent.account_id if whose is None else whose.account_id
    is_limited = kind in {OrderType.LIMIT, OrderType.STOP_LIMIT}
    # A replace changes the stop price of every other stop.
    is_stop = kind not in {OrderType.LIMIT, OrderType.MARKET} and (is_new or intent.pick % 2 == 0)
    rests = is_limited and intent.time_in_force not in {TimeInForce.IOC, TimeInForce.FOK}
    collar = None if intent.collar is None or is_limited else intent.collar
    return ApprovedOrder(
        event_id=f"orders/0/{number}/v0/r0",
        order_id=f"0-{number}",
        action=action,
        client_order_id=f"C{number}",
        account_id=account_id,
        symbol=SYMBOL,
        target_order_id=None if target is None or is_new else target.order_id,
        side=side,
        order_type=intent.order_type,
        time_in_force=_time_in_force(intent, kind),
        quantity=_quantity(intent),
        price=_price(intent) if is_limited else None,
        protective_price=None
        if collar is None
        else Price(intent.price + (collar if side is Side.BUY else -collar)),
        stop_price=Price(intent.stop_price) if is_stop and kind is not OrderType.TRAILING_STOP else None,
        trail_amount=Price(intent.trail_amount) if is_stop and kind is OrderType.TRAILING_STOP else None,
        display_quantity=_display(intent) if rests and is_new else None,
        post_only=intent.post_only and rests,
        self_trade_prevention=intent.prevention,
        expire_time_ns=_expiry(number, intent, kind),
        oco_group=intent.oco_group,
        participant_id=PARTICIPANTS.get(account_id, ""),
        event_time_ns=TimeNs(number),
        market=MARKET,
        maker_fee_bps=10,
        taker_fee_bps=25,
        business_date=DAY,
        price_band_bps=band.bps,
        pause_time_ns=TimeNs(10),
        volatility_auction=band.with_auction,
    )


def _time_in_force(intent: Intent, kind: OrderType) -> TimeInForce:
    is_stop = kind not in {OrderType.LIMIT, OrderType.MARKET}
    for_auction = intent.time_in_force in {TimeInForce.AT_OPEN, TimeInForce.AT_CLOSE}
    return TimeInForce.DAY if is_stop and for_auction else intent.time_in_force


def _display(intent: Intent) -> Quantity | None:
    shown = intent.display_quantity
    return None if shown is None else Quantity(min(shown, intent.quantity))


def _expiry(number: int, intent: Intent, kind: OrderType) -> TimeNs | None:
    is_gtd = _time_in_force(intent, kind) is TimeInForce.GTD
    return TimeNs(number + intent.lives_for) if is_gtd else None


def _quantity(intent: Intent) -> Quantity:
    flawed = {Flaw.NO_QUANTITY: 0, Flaw.NEGATIVE_QUANTITY: -intent.quantity}
    return Quantity(intent.quantity if intent.flaw is None else flawed.get(intent.flaw, intent.quantity))


def _price(intent: Intent) -> Price | None:
    if intent.flaw is Flaw.NO_PRICE:
        return None
    return Price(0 if intent.flaw is Flaw.PRICE_OF_NOTHING else intent.price)


def messages_of(wanted: list[Intent], band: Band = NO_BAND) -> list[BookMessage]:
    """Turn intents into the messages of `risk-approved` and `announcements` for one book."""
    messages: list[BookMessage] = []
    sent: list[ApprovedOrder] = []
    for number, intent in enumerate(wanted):
        if isinstance(intent.action, SessionKind):
            messages.append(_session(number, intent.action))
            continue
        target = sent[-1 - intent.pick % len(sent)] if sent else None
        message = _approved(number, intent, intent.action, target, band)
        messages.append(message)
        if intent.action is OrderAction.NEW:
            sent.append(message)
    return messages


# Most sequences are long enough for a book to fill and empty again; the short ones are what failures shrink to.
book_messages = st.builds(
    messages_of,
    st.one_of(
        st.lists(intents, max_size=8),
        st.lists(intents, min_size=30, max_size=70),
        st.lists(intents, min_size=30),
    ),
    st.sampled_from([NO_BAND, NO_BAND, Band(200), Band(400), Band(100, True), Band(200, True)]),
)
