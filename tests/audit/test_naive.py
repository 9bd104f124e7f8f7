"""A6 over books in which everything happens: the auditor's naive book does what the market's does, and is not blind."""

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from msgspec.structs import replace

from bourse.audit import Entry, Equation, Report
from bourse.schemas.records import (
    Announcement,
    ApprovedOrder,
    BookUpdate,
    OrderType,
    SelfTradePrevention,
    SessionKind,
    Side,
    TimeInForce,
)
from tests.audit.logs import audit, by_topic
from tests.matching.exchange import GTC, IOC, Exchange, Heard
from tests.strategies import BookMessage, book_messages, examples

BUY, SELL = Side.BUY, Side.SELL
PRE_OPEN, OPEN, CLOSED = SessionKind.PRE_OPEN, SessionKind.OPEN, SessionKind.CLOSED
BAND = {"price_band_bps": 500, "pause_time_ns": 1_000}


class Recorded(Exchange):
    """A book whose inputs and outputs are kept, as the topics of one partition have them."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[Entry] = []
        self._offsets = Counter[str]()

    def send(self, message: BookMessage) -> Heard:
        heard = super().send(message)
        topic = "announcements" if isinstance(message, Announcement) else "risk-approved"
        key = None if isinstance(message, Announcement) else message.symbol
        outputs = [(str(to), name, record) for to, name, record, _ in heard.outputs]
        for name, its_key, record in ((topic, key, message), *outputs):
            self.log.append(Entry(name, 0, self._offsets[name], 0, its_key, record))
            self._offsets[name] += 1
        return heard

    def stop(self, account: str, side: Side, quantity: int, at: int, **fields: object) -> Heard:
        return self.new(
            account, side, quantity, 0, order_type=OrderType.STOP, price=None, stop_price=at, **fields
        )


def log_of(messages: list[BookMessage]) -> list[Entry]:
    exchange = Recorded()
    for message in messages:
        exchange.send(message)
    return exchange.log


def of_books(report: Report) -> dict[str, str]:
    return {
        str(finding.equation): f"{finding.first.place} {finding.first.event_id}: {finding.first.cause}"
        for finding in report.failed
        if finding.equation in {Equation.A6, Equation.A20, Equation.A23} and finding.first is not None
    }


@examples(60)
@given(book_messages)
def test_the_naive_book_does_what_the_markets_does(messages: list[BookMessage]) -> None:
    log = log_of(messages)
    assert of_books(audit(log)) == {}
    assert of_books(audit(by_topic(log))) == {}


def test_a_call_that_one_announcement_begins_and_a_later_one_ends_is_no_offence() -> None:
    # The stop changes nothing that is seen, so where it came among the announcements is found out by what follows.
    exchange = Recorded()
    call = {"price_band_bps": 250, "volatility_auction": True, "pause_time_ns": 1}
    exchange.session(SessionKind.CLOSING_AUCTION)
    exchange.sell("A1", 20, 310, **call)
    exchange.buy("A2", 5, 310, **call)
    exchange.buy("A3", 30, 290, **call)
    exchange.stop("A2", SELL, 5, 310, **call)
    exchange.session(OPEN)
    exchange.tick(1)
    heard = exchange.tick(2)
    assert heard.fills == [("0-4", "0-3", 290, 5)]
    exchange.session(CLOSED)
    assert of_books(audit(exchange.log)) == {}
    assert of_books(audit(by_topic(exchange.log))) == {}


# -- what is planted ---------------------------------------------------------------------------------------------------


def stops(exchange: Recorded) -> None:
    exchange.sell("A1", 5, 100)
    exchange.sell("A1", 5, 101)
    exchange.sell("A1", 5, 102)
    exchange.stop("A2", BUY, 4, 101)
    exchange.stop("A3", BUY, 4, 101)
    exchange.buy("A3", 7, 101)


def a_trailing_stop(exchange: Recorded) -> None:
    exchange.sell("A1", 1, 100)
    exchange.buy("A2", 1, 100)
    exchange.new("A3", SELL, 2, 0, order_type=OrderType.TRAILING_STOP, price=None, trail_amount=3)
    exchange.buy("A2", 1, 104)
    exchange.sell("A1", 1, 104)
    exchange.buy("A2", 4, 101)
    exchange.sell("A1", 1, 101)


def an_iceberg(exchange: Recorded) -> None:
    exchange.sell("A1", 6, 100, display_quantity=2)
    exchange.sell("A2", 3, 100)
    exchange.buy("A3", 4, 100)


def an_opening(exchange: Recorded) -> None:
    exchange.session(PRE_OPEN)
    exchange.buy("A1", 5, 104, reference_price=101)
    exchange.sell("A2", 5, 98, reference_price=101)
    exchange.session(OPEN)


def a_close(exchange: Recorded) -> None:
    exchange.new("A1", BUY, 5, 100, time_in_force=TimeInForce.AT_CLOSE)
    exchange.session(SessionKind.CLOSING_AUCTION)
    exchange.sell("A2", 5, 100, time_in_force=GTC)
    exchange.session(CLOSED)


def two_of_one_owner(exchange: Recorded) -> None:
    exchange.sell("A1", 5, 100)
    exchange.sell("A3", 5, 100)
    exchange.buy("A1", 5, 100, self_trade_prevention=SelfTradePrevention.CANCEL_OLDEST)


def a_group(exchange: Recorded) -> None:
    exchange.sell("A1", 5, 105, oco_group="G")
    exchange.stop("A1", SELL, 5, 95, oco_group="G")
    exchange.buy("A2", 1, 105)
    exchange.buy("A2", 9, 94)
    exchange.sell("A3", 1, 94)


def an_expiry(exchange: Recorded) -> None:
    exchange.session(OPEN, time_ns=10)
    exchange.sell("A1", 5, 100, time_in_force=TimeInForce.GTD, expire_time_ns=20)
    exchange.tick(20)


def a_pause(exchange: Recorded) -> None:
    exchange.session(OPEN, time_ns=10)
    exchange.sell("A1", 2, 100, **BAND)
    exchange.buy("A2", 2, 100, **BAND)
    exchange.sell("A1", 2, 110, **BAND)
    exchange.buy("A2", 2, 110, time_in_force=GTC, **BAND)
    exchange.tick(5_000)


def a_call(exchange: Recorded) -> None:
    exchange.session(OPEN, time_ns=10)
    exchange.sell("A1", 2, 100, volatility_auction=True, **BAND)
    exchange.buy("A2", 2, 100, volatility_auction=True, **BAND)
    exchange.sell("A1", 2, 110, volatility_auction=True, **BAND)
    exchange.buy("A2", 2, 110, time_in_force=GTC, volatility_auction=True, **BAND)
    exchange.tick(5_000)
    exchange.tick(9_000)


def an_auction_of_market_orders(exchange: Recorded) -> None:
    exchange.session(PRE_OPEN)
    market = {"order_type": OrderType.MARKET, "price": None, "reference_price": 100}
    exchange.new("A1", BUY, 5, 0, protective_price=200, **market)
    exchange.new("A2", SELL, 5, 0, **market)
    assert exchange.session(OPEN).tape[0].price == 100


def an_iceberg_in_an_auction(exchange: Recorded) -> None:
    exchange.session(PRE_OPEN)
    exchange.buy("A1", 12, 100, display_quantity=4)
    exchange.buy("A2", 10, 100)
    exchange.sell("A3", 5, 100)
    exchange.sell("A3", 5, 100)
    exchange.session(OPEN)


def a_group_that_is_there_once(exchange: Recorded) -> None:
    exchange.sell("A1", 5, 100, oco_group="G")
    exchange.sell("A1", 5, 101, oco_group="G")
    exchange.sell("A3", 4, 102)
    exchange.buy("A2", 9, 102, time_in_force=TimeInForce.FOK)


class Planted(NamedTuple):
    """What happens, which message the topics tell wrongly and how, and what that breaks."""

    story: Callable[[Recorded], None]
    message: int
    changes: dict[str, Any]
    equation: Equation = Equation.A6


PLANTS = {
    "a stop that no price has reached": Planted(stops, 3, {"stop_price": 105}),
    "a stop that an older one was passed over for": Planted(stops, 4, {"stop_price": 100}),
    "a stop at its protective price": Planted(stops, 3, {"protective_price": 101}),
    "a stop that trailed another distance": Planted(a_trailing_stop, 2, {"trail_amount": 4}),
    "an iceberg that showed more": Planted(an_iceberg, 0, {"display_quantity": 3}),
    "an iceberg that kept its place": Planted(an_iceberg, 0, {"display_quantity": None}),
    "an auction at another price": Planted(an_opening, 1, {"reference_price": 99}),
    "a limit that was a protective price": Planted(
        an_auction_of_market_orders, 0, {"order_type": OrderType.LIMIT, "price": 200}
    ),
    "an iceberg that lost its place in an auction": Planted(
        an_iceberg_in_an_auction, 0, {"display_quantity": 5}
    ),
    "an order that was filled though another of its group was": Planted(
        a_group_that_is_there_once, 0, {"oco_group": None}
    ),
    "an order that took part in an auction unseen": Planted(a_close, 0, {"time_in_force": GTC}),
    "a trade within one owner": Planted(
        two_of_one_owner, 2, {"self_trade_prevention": SelfTradePrevention.NONE}
    ),
    "another prevention": Planted(
        two_of_one_owner, 2, {"self_trade_prevention": SelfTradePrevention.CANCEL_BOTH}
    ),
    "a group whose other order lives on": Planted(a_group, 1, {"oco_group": None}),
    "an order that expired too early": Planted(an_expiry, 0, {"expire_time_ns": 21}),
    "a pause for nothing": Planted(a_pause, 3, {"price_band_bps": 1_000}),
    "a call that should have refused": Planted(a_call, 3, {"volatility_auction": False}),
    "an order in a phase that refuses it": Planted(an_opening, 1, {"time_in_force": IOC}, Equation.A23),
    "an order for the opening after it": Planted(
        stops, 1, {"time_in_force": TimeInForce.AT_OPEN}, Equation.A23
    ),
}


@pytest.mark.parametrize("planted", PLANTS.values(), ids=PLANTS.keys())
def test_what_is_planted_is_found(planted: Planted) -> None:
    exchange = Recorded()
    planted.story(exchange)
    log = exchange.log
    assert of_books(audit(log)) == {}
    places = [place for place, entry in enumerate(log) if isinstance(entry.record, ApprovedOrder)]
    place = places[planted.message]
    log[place] = log[place]._replace(record=replace(log[place].record, **planted.changes))
    assert of_books(audit(log)).keys() == {planted.equation}
    assert of_books(audit(by_topic(log))).keys() == {planted.equation}


def test_an_update_that_does_not_say_that_the_book_is_halted_is_found() -> None:
    exchange = Recorded()
    exchange.session(OPEN)
    exchange.sell("A1", 5, 100)
    exchange.session(SessionKind.HALT)
    exchange.cancel("A1", "0-1")
    exchange.session(SessionKind.RESUME)
    assert of_books(audit(exchange.log)) == {}
    updates = [place for place, entry in enumerate(exchange.log) if isinstance(entry.record, BookUpdate)]
    halt = SessionKind.HALT
    assert [exchange.log[place].record.phase for place in updates] == [OPEN, halt, halt, OPEN]
    for place in updates[1:3]:
        log = exchange.log.copy()
        log[place] = log[place]._replace(record=replace(log[place].record, phase=OPEN))
        assert of_books(audit(log)).keys() == {"A23"}


def an_auction_after_a_tick(exchange: Recorded) -> None:
    exchange.session(PRE_OPEN)
    exchange.buy("A1", 5, 104)
    exchange.sell("A2", 5, 98)
    exchange.tick(10)
    exchange.session(OPEN)


def an_order_after_a_tick(exchange: Recorded) -> None:
    exchange.sell("A1", 5, 100)
    exchange.tick(10)
    exchange.session(SessionKind.CLOSING_AUCTION)
    exchange.sell("A2", 5, 101)
    exchange.session(CLOSED)


@pytest.mark.parametrize(
    ("story", "equation"), [(an_auction_after_a_tick, "A6"), (an_order_after_a_tick, "A23")]
)
def test_what_happens_in_a_halt_is_found(story: Callable[[Recorded], None], equation: str) -> None:
    exchange = Recorded()
    story(exchange)
    assert of_books(audit(exchange.log)) == {}
    log = [entry._replace(record=halted(entry.record)) for entry in exchange.log]
    assert of_books(audit(log)).keys() == {equation}
    assert of_books(audit(by_topic(log))).keys() == {equation}


def halted(record: Any) -> Any:
    """The announcement of a halt where that of a tick was; all others as they are."""
    is_tick = (
        isinstance(record, Announcement) and record.session is not None and record.session.kind == "TICK"
    )
    return replace(record, session=replace(record.session, kind=SessionKind.HALT)) if is_tick else record
