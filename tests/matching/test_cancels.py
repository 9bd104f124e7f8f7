"""What takes orders back: cancels, mass cancels and the close."""

import pytest

from bourse.schemas.records import (
    Announcement,
    AnnouncementKind,
    BookLevel,
    Instrument,
    SessionKind,
    Side,
)
from tests.matching.exchange import GTC, Exchange
from tests.strategies import SYMBOL

BUY, SELL = Side.BUY, Side.SELL


class TestCancels:
    def test_a_cancel_releases_what_rests(self, exchange: Exchange) -> None:
        exchange.sell("A1", 10, 100)
        exchange.buy("A2", 4, 100)
        heard = exchange.cancel("A1", "0-0")
        assert heard.topics == ["order-events", "releases", "book-updates"]
        (event,) = heard.events
        assert (event.order_id, event.client_order_id, event.status) == ("0-0", "C0", "CANCELLED")
        assert (event.order_quantity, event.cum_quantity, event.leaves_quantity) == (10, 4, 0)
        assert heard.released == [("0-0", 6, "CANCELLED")]
        assert exchange.resting("0-0") is None

    @pytest.mark.parametrize(("account", "target"), [("A1", "0-9"), ("A2", "0-0"), ("A1", None)])
    def test_what_does_not_rest_for_the_account_cannot_be_cancelled(
        self, exchange: Exchange, account: str, target: str | None
    ) -> None:
        exchange.sell("A1", 10, 100)
        heard = exchange.cancel(account, target)
        (event,) = heard.events
        assert (event.status, event.reason) == ("CANCEL_REJECTED", "ORDER_FINISHED")
        assert (event.order_id, event.client_order_id, event.target_order_id) == ("0-1", "C1", target)
        assert not heard.releases
        assert exchange.queue(SELL) == [(100, "0-0", 10)]

    def test_a_mass_cancel_takes_all_of_the_accounts_orders_as_they_were_accepted(
        self, exchange: Exchange
    ) -> None:
        exchange.sent = 8
        for price in (90, 92, 91):
            exchange.buy("A1", 1, price)
        exchange.buy("A2", 1, 93)
        exchange.replace("A1", "0-8", 1, 94)  # to the end of the queue, but accepted first
        heard = exchange.mass_cancel("A1")
        assert heard.statuses == [("0-8", "CANCELLED"), ("0-9", "CANCELLED"), ("0-10", "CANCELLED")]
        assert heard.released == [
            ("0-8", 1, "CANCELLED"),
            ("0-9", 1, "CANCELLED"),
            ("0-10", 1, "CANCELLED"),
        ]
        assert len(heard.updates) == 1
        assert exchange.queue(BUY) == [(93, "0-11", 1)]

    def test_a_mass_cancel_that_finds_nothing_is_refused(self, exchange: Exchange) -> None:
        exchange.buy("A2", 1, 93)
        heard = exchange.mass_cancel("A1")
        (event,) = heard.events
        assert (event.status, event.reason) == ("CANCEL_REJECTED", "NOTHING_TO_CANCEL")
        assert not heard.updates


class TestTheClose:
    def test_day_orders_expire_in_the_order_of_their_arrival(self, exchange: Exchange) -> None:
        exchange.sell("A1", 5, 100)
        exchange.buy("A2", 3, 100)
        exchange.buy("A2", 7, 99, time_in_force=GTC)
        exchange.buy("A3", 4, 98)
        heard = exchange.session(SessionKind.CLOSED)
        assert heard.statuses == [("0-0", "EXPIRED"), ("0-3", "EXPIRED")]
        assert heard.released == [("0-0", 2, "EXPIRED"), ("0-3", 4, "EXPIRED")]
        first = heard.events[0]
        assert (first.order_quantity, first.cum_quantity, first.leaves_quantity) == (5, 3, 0)
        (update,) = heard.updates
        assert update.is_snapshot
        assert update.changes == (
            BookLevel(SELL, 100, 0, 0),
            BookLevel(BUY, 98, 0, 0),
            BookLevel(BUY, 99, 7, 1),
        )
        assert exchange.queue(BUY) == [(99, "0-2", 7)]

    def test_an_order_that_lost_its_place_expires_after_those_before_it(self, exchange: Exchange) -> None:
        exchange.buy("A1", 5, 99)
        exchange.buy("A2", 5, 99)
        exchange.replace("A1", "0-0", 6)
        heard = exchange.session(SessionKind.CLOSED)
        assert heard.statuses == [("0-1", "EXPIRED"), ("0-0", "EXPIRED")]

    def test_every_book_of_the_market_closes_after_a_restart_too(self, exchange: Exchange) -> None:
        exchange.buy("A1", 1, 10, symbol="ZZZ")
        exchange.buy("A1", 1, 10, symbol="AAA")
        exchange.buy("A1", 1, 10, symbol="OTHER", market="XPAR")
        exchange.restart()
        heard = exchange.session(SessionKind.CLOSED)
        assert [event.symbol for event in heard.events] == ["AAA", "ZZZ"]
        assert [update.symbol for update in heard.updates] == ["AAA", "ZZZ"]
        ids = [record.event_id for _, _, record, _ in heard.outputs]  # type: ignore[attr-defined]
        assert ids == [f"sessions/0/3/a0/m{place}" for place in range(6)]
        assert exchange.resting("0-2", "OTHER") is not None

    def test_one_symbol_may_close_alone(self, exchange: Exchange) -> None:
        exchange.buy("A1", 1, 10, symbol="AAA")
        exchange.buy("A1", 1, 10, symbol="BBB")
        assert [event.symbol for event in exchange.session(SessionKind.CLOSED, "BBB").events] == ["BBB"]

    @pytest.mark.parametrize("kind", [SessionKind.OPEN, SessionKind.TICK])
    def test_other_session_events_expire_nothing(self, exchange: Exchange, kind: SessionKind) -> None:
        exchange.buy("A1", 1, 10)
        assert not exchange.session(kind).outputs

    def test_other_announcements_mean_nothing_to_the_book(self, exchange: Exchange) -> None:
        news = Announcement("instruments/0/0/a0", AnnouncementKind.INSTRUMENT, Instrument(SYMBOL))
        assert not exchange.send(news).outputs
