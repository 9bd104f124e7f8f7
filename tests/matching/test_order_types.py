"""Order types and instructions, each rule as a sentence. docs/market-rules.md says the same to traders."""

import pytest

from bourse.schemas.records import OrderType, SelfTradePrevention, SessionKind, Side, TimeInForce
from tests.matching.exchange import GTC, IOC, Exchange, Heard
from tests.strategies import SYMBOL

BUY, SELL = Side.BUY, Side.SELL
FOK, GTD = TimeInForce.FOK, TimeInForce.GTD


def market(exchange: Exchange, account: str, side: Side, quantity: int, **fields: object) -> Heard:
    fields = {"order_type": OrderType.MARKET, "price": None} | fields
    return exchange.new(account, side, quantity, 0, **fields)


def stop(exchange: Exchange, account: str, side: Side, quantity: int, at: int, **fields: object) -> Heard:
    fields = {"order_type": OrderType.STOP, "price": None, "stop_price": at} | fields
    return exchange.new(account, side, quantity, 0, **fields)


def trailing(exchange: Exchange, account: str, side: Side, by: int, **fields: object) -> Heard:
    fields = {"order_type": OrderType.TRAILING_STOP, "price": None, "trail_amount": by} | fields
    return exchange.new(account, side, 1, 0, **fields)


def trade_at(exchange: Exchange, price: int) -> Heard:
    """Let two strangers trade one share."""
    exchange.sell("S", 1, price)
    return exchange.buy("B", 1, price)


def waiting(exchange: Exchange) -> dict[str, int | None]:
    """Stop prices of what waits, by order id."""
    rows = exchange.state.waiting_orders.scan(f"{SYMBOL}/")
    return {row.order_id: row.stop_price for _, row in rows}


class TestMarketOrders:
    def test_it_takes_what_is_there_and_its_rest_is_cancelled(self, exchange: Exchange) -> None:
        exchange.sell("A1", 4, 100)
        exchange.sell("A1", 4, 900)
        heard = market(exchange, "A2", BUY, 10)
        assert heard.fills == [("0-2", "0-0", 100, 4), ("0-2", "0-1", 900, 4)]
        assert heard.statuses[-1] == ("0-2", "CANCELLED")
        assert heard.released == [("0-2", 2, "IOC_REST")]
        assert exchange.queue(BUY) == []

    def test_it_never_trades_beyond_its_protective_price(self, exchange: Exchange) -> None:
        exchange.sell("A1", 4, 100)
        exchange.sell("A1", 4, 106)
        heard = market(exchange, "A2", BUY, 10, protective_price=105)
        assert heard.fills == [("0-2", "0-0", 100, 4)]
        assert (heard.events[-1].status, heard.events[-1].reason) == ("CANCELLED", "BEYOND_COLLAR")
        assert heard.released == [("0-2", 6, "COLLAR")]

    def test_a_sell_is_protected_from_below(self, exchange: Exchange) -> None:
        exchange.buy("A1", 4, 94)
        assert market(exchange, "A2", SELL, 4, protective_price=95).released == [("0-1", 4, "COLLAR")]
        assert market(exchange, "A2", SELL, 4, protective_price=94).fills == [("0-2", "0-0", 94, 4)]


class TestFillOrKill:
    def test_it_is_filled_at_once_or_rejected(self, exchange: Exchange) -> None:
        exchange.sell("A1", 4, 100)
        heard = exchange.buy("A2", 5, 100, time_in_force=FOK)
        assert (heard.events[0].status, heard.events[0].reason) == ("REJECTED", "FOK_NOT_FILLABLE")
        assert heard.released == [("0-1", 5, "REJECTED")]
        assert exchange.buy("A2", 4, 100, time_in_force=FOK).fills == [("0-2", "0-0", 100, 4)]

    def test_of_a_group_only_what_is_filled_first_counts(self, exchange: Exchange) -> None:
        """Its fill cancels the others, which another order may take the place of."""
        exchange.sell("A1", 5, 100, oco_group="one")
        exchange.sell("A1", 5, 101, oco_group="one")
        exchange.sell("A3", 4, 102, oco_group="one")
        assert exchange.buy("A2", 10, 102, time_in_force=FOK).events[0].reason == "FOK_NOT_FILLABLE"
        heard = exchange.buy("A2", 9, 102, time_in_force=FOK)
        assert heard.fills == [("0-4", "0-0", 100, 5), ("0-4", "0-2", 102, 4)]
        assert ("0-1", "CANCELLED") in heard.statuses

    def test_what_icebergs_hide_counts(self, exchange: Exchange) -> None:
        exchange.sell("A1", 10, 100, display_quantity=2)
        assert exchange.buy("A2", 10, 100, time_in_force=FOK).statuses[-1] == ("0-0", "FILLED")

    @pytest.mark.parametrize(
        ("prevention", "is_filled"),
        [("NONE", True), ("CANCEL_OLDEST", True), ("CANCEL_NEWEST", False), ("DECREMENT", False)],
    )
    def test_prevention_keeps_from_it_what_is_its_owners(
        self, exchange: Exchange, prevention: str, *, is_filled: bool
    ) -> None:
        exchange.sell("A2", 4, 100)
        exchange.sell("A1", 4, 100)
        heard = exchange.buy("A2", 4, 100, time_in_force=FOK, self_trade_prevention=prevention_of(prevention))
        assert bool(heard.fills) is is_filled

    def test_a_stop_that_cannot_be_filled_when_it_is_set_off_is_cancelled(self, exchange: Exchange) -> None:
        stop(exchange, "A1", BUY, 5, 100, time_in_force=FOK)
        heard = trade_at(exchange, 100)
        assert heard.statuses[2:] == [("0-0", "TRIGGERED"), ("0-0", "CANCELLED")]
        assert heard.released == [("0-0", 5, "IOC_REST")]


def prevention_of(name: str) -> SelfTradePrevention:
    return SelfTradePrevention(name)


class TestPostOnly:
    def test_a_replace_that_loses_its_place_in_a_call_is_rejected(self, exchange: Exchange) -> None:
        exchange.buy("A2", 5, 99, post_only=True, time_in_force=GTC)
        exchange.session(SessionKind.PRE_OPEN)
        heard = exchange.replace("A2", "0-0", 5, 101)
        assert (heard.events[0].status, heard.events[0].reason) == ("REPLACE_REJECTED", "WRONG_PHASE")
        assert exchange.queue(BUY) == [(99, "0-0", 5)]
        assert exchange.replace("A2", "0-0", 4, 99).statuses == [("0-0", "REPLACED")]

    def test_it_rests_or_is_rejected(self, exchange: Exchange) -> None:
        exchange.sell("A1", 5, 100)
        assert exchange.buy("A2", 5, 99, post_only=True).statuses == [("0-1", "OPEN")]
        heard = exchange.buy("A2", 5, 100, post_only=True)
        assert heard.events[0].reason == "POST_ONLY_WOULD_TAKE"
        assert heard.released == [("0-2", 5, "REJECTED")]

    def test_a_replace_that_would_take_is_rejected_and_the_order_stays(self, exchange: Exchange) -> None:
        exchange.sell("A1", 5, 100)
        exchange.buy("A2", 5, 99, post_only=True)
        heard = exchange.replace("A2", "0-1", 5, 101)
        assert (heard.events[0].status, heard.events[0].reason) == (
            "REPLACE_REJECTED",
            "POST_ONLY_WOULD_TAKE",
        )
        assert heard.released == [("0-1", 0, "REPLACE_REJECTED")]
        assert exchange.queue(BUY) == [(99, "0-1", 5)]


class TestIcebergs:
    @pytest.mark.parametrize("parts", [[10], [5, 5], [1] * 10, [7, 3]])
    def test_in_an_auction_all_of_it_has_its_place_however_the_other_side_is_divided(
        self, exchange: Exchange, parts: list[int]
    ) -> None:
        exchange.session(SessionKind.PRE_OPEN)
        exchange.buy("A1", 12, 100, display_quantity=4)
        exchange.buy("A2", 10, 100)
        for part in parts:
            exchange.sell("A3", part, 100)
        heard = exchange.session(SessionKind.OPEN)
        assert {trade.account_id for trade in heard.trades if trade.side is BUY} == {"A1"}
        assert exchange.queue(BUY) == [(100, "0-1", 2), (100, "0-2", 10)]
        assert heard.updates[0].best_bid_quantity == 12

    def test_a_replace_does_not_make_more_parts_of_it_than_it_may_have(self, exchange: Exchange) -> None:
        exchange.sell("A1", 1_000, 100, display_quantity=1)
        heard = exchange.replace("A1", "0-0", 1_001, 100, side=SELL)
        assert (heard.events[0].status, heard.events[0].reason) == (
            "REPLACE_REJECTED",
            "INVALID_DISPLAY_QUANTITY",
        )
        assert exchange.replace("A1", "0-0", 999, 100, side=SELL).statuses == [("0-0", "REPLACED")]

    def test_one_that_shows_more_than_it_is_made_to_has_nothing_to_hide(self, exchange: Exchange) -> None:
        exchange.sell("A1", 10, 100, display_quantity=5)
        assert exchange.replace("A1", "0-0", 3, 101, side=SELL).statuses == [("0-0", "REPLACED")]

    def test_only_a_part_is_shown_and_the_next_one_goes_to_the_end(self, exchange: Exchange) -> None:
        update = exchange.sell("A1", 10, 100, display_quantity=4).updates[0]
        assert (update.best_ask_quantity, update.changes[0].quantity, update.changes[0].orders) == (4, 4, 1)
        exchange.sell("A2", 4, 100)
        heard = exchange.buy("A3", 9, 100)
        assert heard.fills == [("0-2", "0-0", 100, 4), ("0-2", "0-1", 100, 4), ("0-2", "0-0", 100, 1)]
        assert exchange.queue(SELL) == [(100, "0-0", 5)]
        assert heard.updates[0].best_ask_quantity == 3

    def test_a_part_that_is_partly_filled_keeps_its_place(self, exchange: Exchange) -> None:
        exchange.sell("A1", 10, 100, display_quantity=4)
        exchange.sell("A2", 4, 100)
        exchange.buy("A3", 3, 100)
        assert exchange.buy("A3", 1, 100).fills == [("0-3", "0-0", 100, 1)]

    def test_after_a_restart_the_order_of_the_queue_is_the_same(self, exchange: Exchange) -> None:
        exchange.sell("A1", 10, 100, display_quantity=4)
        exchange.sell("A2", 4, 100)
        exchange.buy("A3", 4, 100)
        exchange.restart()
        assert exchange.buy("A3", 5, 100).fills == [("0-3", "0-1", 100, 4), ("0-3", "0-0", 100, 1)]

    def test_one_that_takes_first_shows_a_whole_part_of_what_rests(self, exchange: Exchange) -> None:
        exchange.sell("A1", 7, 100)
        heard = exchange.buy("A2", 10, 100, display_quantity=2)
        assert heard.fills == [("0-1", "0-0", 100, 7)]
        assert heard.updates[0].best_bid_quantity == 2
        assert exchange.queue(BUY) == [(100, "0-1", 3)]

    def test_a_smaller_total_takes_from_what_is_hidden_first(self, exchange: Exchange) -> None:
        exchange.sell("A1", 10, 100, display_quantity=4)
        exchange.sell("A2", 1, 100)
        assert not exchange.replace("A1", "0-0", 5, side=SELL).updates
        assert exchange.replace("A1", "0-0", 3, side=SELL).updates[0].best_ask_quantity == 4
        assert exchange.queue(SELL) == [(100, "0-0", 3), (100, "0-1", 1)]


class TestStops:
    def test_it_waits_for_a_trade_at_its_price_and_becomes_a_market_order(self, exchange: Exchange) -> None:
        assert stop(exchange, "A1", BUY, 2, 105).statuses == [("0-0", "OPEN")]
        exchange.sell("A2", 5, 105)
        assert not exchange.buy("A3", 1, 104).trades
        heard = exchange.buy("A3", 1, 105)
        assert heard.statuses == [
            ("0-3", "FILLED"),
            ("0-1", "PARTIALLY_FILLED"),
            ("0-0", "TRIGGERED"),
            ("0-0", "FILLED"),
            ("0-1", "PARTIALLY_FILLED"),
        ]
        assert [trade.trade_id for trade in heard.trades[::2]] == ["0-3-0", "0-3-1"]
        assert waiting(exchange) == {}

    def test_a_stop_limit_order_rests_at_its_limit(self, exchange: Exchange) -> None:
        stop(exchange, "A1", SELL, 2, 95, order_type=OrderType.STOP_LIMIT, price=96)
        heard = trade_at(exchange, 95)
        assert heard.statuses[2:] == [("0-0", "TRIGGERED"), ("0-0", "OPEN")]
        assert exchange.queue(SELL) == [(96, "0-0", 2)]
        exchange.restart()
        assert exchange.buy("A2", 2, 96).statuses == [("0-3", "FILLED"), ("0-0", "FILLED")]

    def test_one_that_the_last_price_has_reached_already_is_set_off_at_once(self, exchange: Exchange) -> None:
        trade_at(exchange, 100)
        exchange.buy("A2", 9, 90)
        heard = stop(exchange, "A1", SELL, 2, 100)
        assert heard.statuses[:2] == [("0-3", "OPEN"), ("0-3", "TRIGGERED")]
        assert heard.fills == [("0-3", "0-2", 90, 2)]

    def test_stops_go_in_the_order_in_which_the_price_reaches_them_and_then_by_time(
        self, exchange: Exchange
    ) -> None:
        for at in (97, 99, 98, 99):
            stop(exchange, "A1", SELL, 1, at)
        exchange.buy("A2", 4, 90)
        heard = trade_at(exchange, 97)
        triggered = [order_id for order_id, status in heard.statuses if status == "TRIGGERED"]
        assert triggered == ["0-1", "0-3", "0-2", "0-0"]

    def test_of_buys_and_sells_at_one_price_the_older_first_one_goes_first(self, exchange: Exchange) -> None:
        stop(exchange, "A1", SELL, 1, 100)
        stop(exchange, "A1", BUY, 1, 100)
        stop(exchange, "A1", SELL, 1, 101)
        heard = trade_at(exchange, 100)
        triggered = [order_id for order_id, status in heard.statuses if status == "TRIGGERED"]
        assert triggered == ["0-1", "0-2", "0-0"]

    def test_one_stop_sets_off_the_next(self, exchange: Exchange) -> None:
        for price in (99, 98, 97):
            exchange.buy("A2", 1, price)
            stop(exchange, "A1", SELL, 1, price + 1)
        exchange.buy("B", 1, 100)
        heard = exchange.sell("S", 1, 100)
        assert [fill[2] for fill in heard.fills] == [100, 99, 98, 97]

    def test_a_stop_never_trades_beyond_its_protective_price(self, exchange: Exchange) -> None:
        exchange.buy("A2", 5, 90)
        stop(exchange, "A1", SELL, 2, 100, protective_price=95)
        heard = trade_at(exchange, 100)
        assert heard.released == [("0-1", 2, "COLLAR")]
        assert heard.statuses[-1] == ("0-1", "CANCELLED")

    def test_it_can_be_cancelled_and_survives_a_restart(self, exchange: Exchange) -> None:
        stop(exchange, "A1", SELL, 2, 95)
        exchange.restart()
        assert exchange.cancel("A1", "0-0").released == [("0-0", 2, "CANCELLED")]
        assert waiting(exchange) == {}
        assert not trade_at(exchange, 95).releases

    def test_a_replace_moves_its_prices_and_its_place(self, exchange: Exchange) -> None:
        stop(exchange, "A1", SELL, 2, 95, protective_price=90)
        stop(exchange, "A1", SELL, 2, 96)
        heard = exchange.replace("A1", "0-0", 3, stop_price=96, protective_price=91, side=SELL)
        (event,), (release,) = heard.events, heard.releases
        assert (event.status, event.order_quantity, event.leaves_quantity) == ("REPLACED", 3, 3)
        assert (release.reason, release.order_quantity, release.price) == ("REPLACED", 3, 91)
        assert waiting(exchange) == {"0-0": 96, "0-1": 96}
        triggered = [event for event in trade_at(exchange, 96).events if event.status == "TRIGGERED"]
        assert [event.order_id for event in triggered] == ["0-1", "0-0"]

    def test_a_smaller_stop_keeps_its_place(self, exchange: Exchange) -> None:
        stop(exchange, "A1", SELL, 2, 95)
        stop(exchange, "A1", SELL, 2, 95)
        assert exchange.replace("A1", "0-0", 1, side=SELL).releases[0].price is None
        triggered = [event for event in trade_at(exchange, 95).events if event.status == "TRIGGERED"]
        assert [(event.order_id, event.leaves_quantity) for event in triggered] == [("0-0", 1), ("0-1", 2)]

    def test_a_replace_may_set_it_off(self, exchange: Exchange) -> None:
        trade_at(exchange, 100)
        stop(exchange, "A1", BUY, 2, 105)
        heard = exchange.replace("A1", "0-2", 2, stop_price=99)
        assert heard.statuses == [("0-2", "REPLACED"), ("0-2", "TRIGGERED"), ("0-2", "CANCELLED")]

    def test_once_set_off_it_has_no_stop_price_to_change(self, exchange: Exchange) -> None:
        stop(exchange, "A1", SELL, 2, 95, order_type=OrderType.STOP_LIMIT, price=96)
        trade_at(exchange, 95)
        heard = exchange.replace("A1", "0-0", 2, stop_price=94, side=SELL)
        assert (heard.events[0].status, heard.events[0].reason) == ("REPLACE_REJECTED", "INVALID_INSTRUCTION")

    def test_day_stops_expire_at_the_close_and_others_live_on(self, exchange: Exchange) -> None:
        stop(exchange, "A1", SELL, 2, 95)
        stop(exchange, "A1", SELL, 2, 95, time_in_force=GTC)
        assert exchange.session(SessionKind.CLOSED).statuses == [("0-0", "EXPIRED")]
        assert waiting(exchange) == {"0-1": 95}

    def test_a_mass_cancel_takes_them_too(self, exchange: Exchange) -> None:
        exchange.buy("A1", 2, 90)
        stop(exchange, "A1", SELL, 2, 80)
        assert exchange.mass_cancel("A1").statuses == [("0-0", "CANCELLED"), ("0-1", "CANCELLED")]


class TestTrailingStops:
    def test_a_sell_follows_a_rising_price_and_stays_when_it_falls(self, exchange: Exchange) -> None:
        trade_at(exchange, 100)
        trailing(exchange, "A1", SELL, 3)
        assert waiting(exchange) == {"0-2": 97}
        trade_at(exchange, 104)
        assert waiting(exchange) == {"0-2": 101}
        trade_at(exchange, 102)
        assert waiting(exchange) == {"0-2": 101}
        exchange.restart()
        assert trade_at(exchange, 101).statuses[2] == ("0-2", "TRIGGERED")

    def test_a_buy_follows_a_falling_price(self, exchange: Exchange) -> None:
        trade_at(exchange, 100)
        trailing(exchange, "A1", BUY, 3)
        trade_at(exchange, 95)
        trade_at(exchange, 97)
        assert waiting(exchange) == {"0-2": 98}
        assert trade_at(exchange, 98).statuses[2] == ("0-2", "TRIGGERED")

    def test_before_the_first_trade_it_begins_at_the_reference_price(self, exchange: Exchange) -> None:
        trailing(exchange, "A1", SELL, 3, reference_price=50)
        assert waiting(exchange) == {"0-0": 47}

    def test_with_no_price_at_all_the_first_trade_is_where_it_begins(self, exchange: Exchange) -> None:
        trailing(exchange, "A1", SELL, 3)
        trailing(exchange, "A1", BUY, 3)
        assert waiting(exchange) == {"0-0": None, "0-1": None}
        assert trade_at(exchange, 100).statuses == [("0-3", "FILLED"), ("0-2", "FILLED")]
        assert waiting(exchange) == {"0-0": 97, "0-1": 103}

    def test_a_stop_price_says_where_it_begins(self, exchange: Exchange) -> None:
        trade_at(exchange, 100)
        trailing(exchange, "A1", SELL, 3, stop_price=90)
        trade_at(exchange, 93)
        assert waiting(exchange) == {"0-2": 90}
        trade_at(exchange, 94)
        assert waiting(exchange) == {"0-2": 91}

    def test_a_replace_may_change_its_distance(self, exchange: Exchange) -> None:
        trade_at(exchange, 100)
        trailing(exchange, "A1", SELL, 3)
        exchange.replace("A1", "0-2", 1, trail_amount=5, side=SELL)
        assert waiting(exchange) == {"0-2": 95}


class TestSelfTradePrevention:
    def test_cancel_newest_ends_the_order_that_came(self, exchange: Exchange) -> None:
        exchange.sell("A2", 2, 99)
        exchange.sell("A1", 5, 100)
        heard = exchange.buy("A1", 9, 100, self_trade_prevention=prevention_of("CANCEL_NEWEST"))
        assert heard.fills == [("0-2", "0-0", 99, 2)]
        assert (heard.events[-1].status, heard.events[-1].reason) == ("CANCELLED", "SELF_TRADE_PREVENTED")
        assert heard.released == [("0-2", 7, "PREVENTED")]
        assert exchange.queue(SELL) == [(100, "0-1", 5)]

    def test_cancel_oldest_ends_the_order_that_rests(self, exchange: Exchange) -> None:
        exchange.sell("A1", 5, 100)
        exchange.sell("A2", 5, 100)
        heard = exchange.buy("A1", 4, 100, self_trade_prevention=prevention_of("CANCEL_OLDEST"))
        assert heard.released == [("0-0", 5, "PREVENTED")]
        assert heard.fills == [("0-2", "0-1", 100, 4)]

    def test_cancel_both_ends_both(self, exchange: Exchange) -> None:
        exchange.sell("A1", 5, 100)
        heard = exchange.buy("A1", 4, 100, self_trade_prevention=prevention_of("CANCEL_BOTH"))
        assert heard.released == [("0-0", 5, "PREVENTED"), ("0-1", 4, "PREVENTED")]
        assert exchange.queue(SELL) == exchange.queue(BUY) == []

    def test_decrement_takes_the_smaller_off_both(self, exchange: Exchange) -> None:
        exchange.sell("A1", 5, 100)
        heard = exchange.buy("A1", 3, 100, self_trade_prevention=prevention_of("DECREMENT"))
        assert heard.statuses == [("0-0", "REPLACED"), ("0-1", "CANCELLED")]
        resting, ended = heard.events
        assert (resting.order_quantity, resting.cum_quantity, resting.leaves_quantity) == (2, 0, 2)
        assert (ended.order_quantity, ended.leaves_quantity) == (3, 0)
        assert {event.reason for event in heard.events} == {"SELF_TRADE_PREVENTED"}
        assert heard.released == [("0-0", 3, "PREVENTED"), ("0-1", 3, "PREVENTED")]

    def test_what_decrement_leaves_of_the_newer_one_goes_on(self, exchange: Exchange) -> None:
        exchange.sell("A1", 2, 100)
        exchange.sell("A2", 2, 100)
        heard = exchange.buy("A1", 5, 100, self_trade_prevention=prevention_of("DECREMENT"))
        assert heard.fills == [("0-2", "0-1", 100, 2)]
        assert exchange.queue(BUY) == [(100, "0-2", 1)]
        row = exchange.resting("0-2")
        assert row is not None
        assert (row.order_quantity, row.cum_quantity) == (3, 2)

    def test_decrement_takes_what_an_iceberg_hides_first(self, exchange: Exchange) -> None:
        exchange.sell("A1", 10, 100, display_quantity=4)
        update = exchange.buy("A1", 5, 100, self_trade_prevention=prevention_of("DECREMENT")).updates
        assert not update
        assert exchange.queue(SELL) == [(100, "0-0", 5)]

    def test_the_newer_order_decides(self, exchange: Exchange) -> None:
        exchange.sell("A1", 5, 100, self_trade_prevention=prevention_of("CANCEL_BOTH"))
        assert exchange.buy("A1", 5, 100).fills == [("0-1", "0-0", 100, 5)]

    def test_accounts_of_one_participant_are_one_owner(self, exchange: Exchange) -> None:
        oldest = {"self_trade_prevention": prevention_of("CANCEL_OLDEST")}
        exchange.sell("A1", 5, 100, participant_id="P")
        assert not exchange.buy("A2", 5, 100, participant_id="P", time_in_force=IOC, **oldest).fills
        exchange.sell("A3", 5, 100, participant_id="Q")
        assert exchange.buy("A4", 10, 100, **oldest).fills == [("0-3", "0-2", 100, 5)]

    def test_it_holds_after_a_replace(self, exchange: Exchange) -> None:
        exchange.sell("A1", 5, 100)
        exchange.buy("A1", 5, 90, self_trade_prevention=prevention_of("CANCEL_NEWEST"))
        heard = exchange.replace("A1", "0-1", 5, 100)
        assert heard.statuses == [("0-1", "REPLACED"), ("0-1", "CANCELLED")]
        assert heard.released[-1] == ("0-1", 5, "PREVENTED")


class TestOneCancelsTheOther:
    def test_a_fill_of_one_cancels_the_others_at_once(self, exchange: Exchange) -> None:
        exchange.sell("A1", 5, 100, oco_group="G")
        exchange.sell("A1", 5, 101, oco_group="G")
        stop(exchange, "A1", SELL, 5, 90, oco_group="G")
        heard = exchange.buy("A2", 10, 101)
        assert heard.fills == [("0-3", "0-0", 100, 5)]
        assert heard.statuses[2:] == [("0-1", "CANCELLED"), ("0-2", "CANCELLED")]
        assert {event.reason for event in heard.events[2:]} == {"OCO_SIBLING_FILLED"}
        assert heard.released == [("0-1", 5, "OCO"), ("0-2", 5, "OCO")]
        assert exchange.queue(BUY) == [(101, "0-3", 5)]

    def test_a_partial_fill_counts_and_the_filled_order_lives_on(self, exchange: Exchange) -> None:
        exchange.sell("A1", 5, 100, oco_group="G")
        exchange.sell("A1", 5, 101, oco_group="G")
        exchange.buy("A2", 1, 100)
        assert exchange.queue(SELL) == [(100, "0-0", 4)]

    def test_an_order_that_comes_and_takes_cancels_its_group(self, exchange: Exchange) -> None:
        exchange.buy("A1", 5, 90, oco_group="G")
        exchange.sell("A2", 5, 100)
        assert exchange.buy("A1", 2, 100, oco_group="G").released == [("0-0", 5, "OCO")]

    def test_groups_are_the_accounts_own(self, exchange: Exchange) -> None:
        exchange.sell("A1", 5, 100, oco_group="G")
        exchange.sell("A2", 5, 101, oco_group="G")
        assert not exchange.buy("A3", 5, 100).releases

    def test_orders_of_one_group_do_not_trade_with_each_other(self, exchange: Exchange) -> None:
        exchange.sell("A1", 5, 100, oco_group="G")
        heard = exchange.buy("A1", 5, 100, oco_group="G")
        assert heard.released == [("0-0", 5, "OCO")]
        assert exchange.queue(BUY) == [(100, "0-1", 5)]

    def test_a_fill_or_kill_does_not_count_on_its_sibling(self, exchange: Exchange) -> None:
        exchange.sell("A1", 5, 100, oco_group="G")
        exchange.sell("A2", 4, 100)
        heard = exchange.buy("A1", 5, 100, oco_group="G", time_in_force=FOK)
        assert (heard.fills, heard.events[-1].reason) == ([], "FOK_NOT_FILLABLE")

    def test_a_stop_that_is_set_off_with_its_sibling_is_cancelled_if_that_trades_first(
        self, exchange: Exchange
    ) -> None:
        exchange.buy("A2", 9, 80)
        stop(exchange, "A1", SELL, 1, 90, oco_group="G")
        stop(exchange, "A1", SELL, 1, 90, oco_group="G")
        heard = trade_at(exchange, 90)
        assert heard.released == [("0-2", 1, "OCO")]
        assert len(heard.fills) == 2

    def test_a_cancel_of_one_leaves_the_others(self, exchange: Exchange) -> None:
        exchange.sell("A1", 5, 100, oco_group="G")
        exchange.sell("A1", 5, 101, oco_group="G")
        exchange.cancel("A1", "0-0")
        assert exchange.queue(SELL) == [(101, "0-1", 5)]


class TestGoodTillDate:
    def test_without_a_session_clock_the_next_message_at_its_time_expires_it(
        self, exchange: Exchange
    ) -> None:
        exchange.buy("A1", 5, 99, time_in_force=GTD, expire_time_ns=1_000, event_time_ns=10)
        assert not exchange.cancel("A1", "0-9", event_time_ns=999).releases
        heard = exchange.buy("A2", 5, 98, event_time_ns=1_000)
        assert heard.statuses == [("0-0", "EXPIRED"), ("0-2", "OPEN")]
        assert heard.released == [("0-0", 5, "EXPIRED")]

    def test_where_there_is_a_clock_the_times_of_orders_end_nothing(self, exchange: Exchange) -> None:
        exchange.session(SessionKind.OPEN, time_ns=100)
        exchange.buy("A1", 5, 99, time_in_force=GTD, expire_time_ns=1_000)
        exchange.buy("A2", 5, 98, event_time_ns=10**18)
        assert not exchange.tick(999).outputs
        assert exchange.tick(1_000).statuses == [("0-1", "EXPIRED")]
        assert not exchange.tick(1_001).outputs

    def test_a_tick_finds_what_is_due_after_a_restart_too(self, exchange: Exchange) -> None:
        exchange.session(SessionKind.OPEN, time_ns=100)
        for symbol in ("BBB", "AAA"):
            exchange.buy("A1", 5, 99, time_in_force=GTD, expire_time_ns=1_000, symbol=symbol)
        stop(exchange, "A1", SELL, 1, 5, time_in_force=GTD, expire_time_ns=2_000)
        exchange.restart()
        assert [event.symbol for event in exchange.tick(1_500).events] == ["AAA", "BBB"]
        exchange.restart()
        assert exchange.tick(2_500).statuses == [("0-3", "EXPIRED")]

    def test_any_session_event_expires_it(self, exchange: Exchange) -> None:
        exchange.session(SessionKind.OPEN, time_ns=100)
        exchange.buy("A1", 5, 99, time_in_force=GTD, expire_time_ns=1_000)
        assert exchange.session(SessionKind.CLOSING_AUCTION, time_ns=1_000).statuses == [("0-1", "EXPIRED")]

    def test_the_first_to_expire_is_the_first_to_be_told(self, exchange: Exchange) -> None:
        exchange.session(SessionKind.OPEN, time_ns=100)
        for expiry in (700, 600, 650):
            exchange.buy("A1", 5, 99, time_in_force=GTD, expire_time_ns=expiry)
        exchange.cancel("A1", "0-3")
        assert [order_id for order_id, _ in exchange.tick(1_000).statuses] == ["0-2", "0-1"]

    def test_other_markets_have_other_clocks(self, exchange: Exchange) -> None:
        exchange.session(SessionKind.OPEN, time_ns=100)
        exchange.buy("A1", 5, 99, time_in_force=GTD, expire_time_ns=1_000)
        assert not exchange.session(SessionKind.TICK, market="XPAR", time_ns=5_000).outputs


def test_an_ioc_stop_takes_what_is_there_when_it_is_set_off(exchange: Exchange) -> None:
    exchange.sell("A2", 1, 101)
    stop(exchange, "A1", BUY, 2, 100, order_type=OrderType.STOP_LIMIT, price=102, time_in_force=IOC)
    heard = trade_at(exchange, 100)
    assert heard.statuses[-1] == ("0-1", "CANCELLED")
    assert heard.released == [("0-1", 1, "IOC_REST")]
