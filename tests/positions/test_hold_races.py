"""One order, its replaces, fills and releases, under way at the same time in every order that topics allow.

The book here is a few lines of its own, so that it does what any book may: fill, reject, replace, cancel, when it likes.
"""

from collections import deque
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bourse.pipeline import positions, risk
from bourse.pipeline.holds import MAX_PENDING_REPLACES, dearest_walk
from bourse.pipeline.money import fee, with_fee
from bourse.pipeline.outputs import Topic
from bourse.pipeline.state import State
from bourse.schemas.records import (
    ApprovedOrder,
    Hold,
    Instrument,
    Liquidity,
    OrderAction,
    Release,
    ReleaseReason,
    Side,
    Trade,
    ValidatedOrder,
    Wallet,
)
from tests.account_strategies import ready_state

FEE_BPS = 37
FUNDS = 30_000
INSTRUMENT = Instrument("AAA", market="XONE", maker_fee_bps=FEE_BPS, taker_fee_bps=FEE_BPS)
ORDER_KEY = "ANN/0-0"

PRICES = (20, 60, 100, 101)


def validated(
    action: OrderAction, place: int, quantity: int, price: int | None, side: Side = Side.BUY
) -> ValidatedOrder:
    target = None if action is OrderAction.NEW else "0-0"
    return ValidatedOrder(
        f"orders/0/{place}/v0",
        f"0-{place}",
        action,
        f"c{place}",
        "ANN",
        "AAA",
        target,
        side=side,
        quantity=quantity,
        price=price,
    )


class OneOrder:
    """The account side of one order, and a book that answers late and out of step."""

    def __init__(self, side: Side, dice: Random) -> None:
        self.side = side
        self.dice = dice
        self.state = ready_state(INSTRUMENT)
        self.asset = "EUR" if side is Side.BUY else "AAA"
        self.state.wallets.put(f"ANN/{self.asset}", Wallet(FUNDS))
        self.place = 0
        self.requests: deque[ApprovedOrder] = deque()
        self.trades: deque[Trade] = deque()
        self.releases: deque[Release] = deque()
        self.paid = 0
        self.total, self.price, self.cum, self.lives = dice.randint(5, 40), dice.choice(PRICES), 0, True
        self._ask(validated(OrderAction.NEW, 0, self.total, self.price, side))
        self.requests.clear()

    def step(self) -> None:
        """Let one of the things happen that can happen now."""
        possible = [self.client_asks_to_replace]
        if self.lives:
            possible += [self.book_fills, self.book_fills]
        if self.lives and self.place > 2:
            possible.append(self.book_cancels)
        possible += [self.book_answers] * bool(self.requests)
        possible += [self.trade_comes_home] * bool(self.trades)
        possible += [self.release_comes_home] * bool(self.releases)
        self.dice.choice(possible)()
        self.check()

    def _ask(self, order: ValidatedOrder) -> None:
        outputs = risk.handle(self.state, "validated", order.event_id, order, 1)
        self.requests.extend(record for topic, _, record, _ in outputs if topic is Topic.RISK_APPROVED)

    def client_asks_to_replace(self) -> None:
        self.place += 1
        quantity, price = self.dice.randint(0, 40), self.dice.choice([*PRICES, None])
        self._ask(validated(OrderAction.REPLACE, self.place, quantity, price, self.side))

    def book_fills(self) -> None:
        quantity = min(self.dice.randint(1, 12), self.total - self.cum)
        better_by = self.dice.choice([0, 0, 3])
        price = self.price - better_by if self.side is Side.BUY else self.price + better_by
        self.cum += quantity
        self.lives = self.cum < self.total
        charged = fee(quantity * price, FEE_BPS)
        self.paid += quantity * price + charged if self.side is Side.BUY else quantity
        self.trades.append(filled(price, quantity, self.side, charged))

    def book_answers(self) -> None:
        request = self.requests.popleft()
        if not self.lives or self.dice.randint(0, 3) == 0:
            self._release(0, ReleaseReason.REPLACE_REJECTED, request.order_id)
            return
        before, cum = self.total, self.cum
        self.total = max(request.quantity, cum)
        self.price = self.price if request.price is None else request.price
        self.lives = self.total > cum
        answer = (request.order_id, self.total, self.price, cum)
        self._release(max(0, before - self.total), ReleaseReason.REPLACED, *answer)

    def book_cancels(self) -> None:
        self._release(self.total - self.cum, ReleaseReason.CANCELLED)
        self.total, self.lives = self.cum, False

    def _release(self, quantity: int, reason: ReleaseReason, *answer: str | int) -> None:
        self.releases.append(Release("", "0-0", "ANN", "AAA", self.side, quantity, reason, 1, *answer))

    def trade_comes_home(self) -> None:
        positions.handle(self.state, "trades", "c", self.trades.popleft(), 1)

    def release_comes_home(self) -> None:
        positions.handle(self.state, "releases", "c", self.releases.popleft(), 1)

    def rest(self) -> None:
        """Let everything come home that is under way, replies to replaces before the fills that they overtook."""
        while self.requests:
            self.book_answers()
        while self.releases or self.trades:
            _ = self.release_comes_home() if self.releases else self.trade_comes_home()
            self.check()

    def check(self) -> None:
        """Check that wallet and hold agree, and that nothing is held in vain once nothing is under way."""
        hold = self.state.holds.get(ORDER_KEY)
        wallet = self.state.wallets.get(f"ANN/{self.asset}")
        assert wallet is not None
        assert wallet.blocked == (0 if hold is None else hold.blocked)
        if not (self.trades or self.releases or self.requests):
            assert wallet.blocked == self._needed()
            assert wallet.available == FUNDS - self.paid - self._needed()
            assert (hold is not None) is self.lives

    def _needed(self) -> int:
        remaining = self.total - self.cum if self.lives else 0
        return with_fee(remaining * self.price, FEE_BPS) if self.side is Side.BUY else remaining


@given(
    st.integers(0, 2**32).map(Random) | st.randoms(use_true_random=False),
    st.sampled_from(Side),
    st.integers(3, 40),
)
@settings(max_examples=5 * settings.default.max_examples)
def test_a_hold_covers_every_race_and_ends_exact(dice: Random, side: Side, steps: int) -> None:
    order = OneOrder(side, dice)
    for _ in range(steps):
        order.step()
    order.rest()


def walks(cum: int, steps: list[tuple[int, int]]) -> int:
    """Return the dearest walk by trying every fill of every step."""
    if not steps:
        return 0
    (total, price), *rest = steps
    return max(filled * price + walks(cum + filled, rest) for filled in range(max(0, total - cum) + 1))


@given(st.integers(0, 4), st.lists(st.tuples(st.integers(0, 6), st.integers(0, 9)), max_size=4))
def test_the_dearest_walk_is_the_dearest_of_all_walks(cum: int, steps: list[tuple[int, int]]) -> None:
    assert dearest_walk(cum, steps) == walks(cum, steps)


def filled(price: int, quantity: int, side: Side = Side.BUY, charged: int = 0) -> Trade:
    return Trade(
        "",
        "t1",
        "AAA",
        "ANN",
        side,
        "0-0",
        "c0",
        "BEN",
        "0-9",
        price,
        quantity,
        Liquidity.MAKER,
        charged,
        venue="XONE",
    )


def state_with(order: tuple[int, int], *replaces: tuple[int, int]) -> State:
    """Return the state after a new order and replaces that the book has not answered yet, without fees."""
    state = ready_state(Instrument("AAA", market="XONE"))
    state.wallets.put("ANN/EUR", Wallet(FUNDS))
    for place, (quantity, price) in enumerate((order, *replaces)):
        action = OrderAction.REPLACE if place else OrderAction.NEW
        request = validated(action, place, quantity, price)
        risk.handle(state, "validated", request.event_id, request, 1)
    return state


def hold_of(state: State) -> Hold:
    hold = state.holds.get(ORDER_KEY)
    assert hold is not None
    return hold


def test_a_replace_holds_for_fills_made_before_it_too() -> None:
    # Given 100 at 20 that are to become 200 at 10: the book may fill 100 at 20 first, and 100 at 10 after.
    state = state_with((100, 20), (200, 10))
    assert hold_of(state).blocked == 3_000


def test_a_replace_that_overtakes_a_fill_keeps_what_the_fill_costs() -> None:
    # Given a replace to a lower price, answered when 50 were filled at the higher one
    state = state_with((100, 20), (100, 10))
    # When the answer comes home before the fill
    answer = Release("", "0-0", "ANN", "AAA", Side.BUY, 0, ReleaseReason.REPLACED, 1, "0-1", 100, 10, 50)
    positions.handle(state, "releases", "c", answer, 1)
    # Then the fill can still be paid, and the rest after it
    assert hold_of(state).blocked == 50 * 20 + 50 * 10
    positions.handle(state, "trades", "c", filled(20, 50), 1)
    assert hold_of(state).blocked == 50 * 10


def test_answers_that_overtake_the_same_fill_keep_the_dearest_price() -> None:
    # Given two replaces down in price, both answered when 50 were filled at the first one
    state = state_with((100, 20), (100, 15), (100, 10))
    for order_id, price in (("0-1", 15), ("0-2", 10)):
        answer = Release(
            "", "0-0", "ANN", "AAA", Side.BUY, 0, ReleaseReason.REPLACED, 1, order_id, 100, price, 50
        )
        positions.handle(state, "releases", "c", answer, 1)
    assert hold_of(state).blocked == 50 * 20 + 50 * 10


def test_an_answer_that_does_not_say_what_was_filled_changes_what_it_says() -> None:
    state = state_with((100, 20), (80, 10))
    answer = Release("", "0-0", "ANN", "AAA", Side.BUY, 0, ReleaseReason.REPLACED, 1, "0-1")
    positions.handle(state, "releases", "c", answer, 1)
    assert (hold_of(state).order_quantity, hold_of(state).price, hold_of(state).pending) == (100, 20, ())


@pytest.mark.parametrize("overtakes", [False, True])
def test_a_finished_order_keeps_its_hold_until_its_replace_is_answered(*, overtakes: bool) -> None:
    # Given a replace that reaches the book when the order is filled
    state = state_with((100, 20), (150, 20))
    rejected = Release("", "0-0", "ANN", "AAA", Side.BUY, 0, ReleaseReason.REPLACE_REJECTED, 1, "0-1")
    homecoming = [filled(20, 100), rejected]
    first, second = reversed(homecoming) if overtakes else homecoming
    # When one of the two has come home, there is a hold; when both have, there is none
    positions.handle(state, "trades", "c", first, 1)
    assert state.holds.get(ORDER_KEY) is not None
    positions.handle(state, "trades", "c", second, 1)
    assert state.holds.get(ORDER_KEY) is None
    assert state.wallets.get("ANN/EUR") == Wallet(FUNDS - 2_000)


@pytest.mark.parametrize(("first", "kept"), [(30, 30), (10, 20)])
def test_a_replace_without_a_price_may_find_the_order_at_any_price_that_is_under_way(
    first: int, kept: int
) -> None:
    # Given a replace to another price, which the book may refuse, and then one that names none
    state = state_with((100, 20), (100, first), (200, None))
    # Then the second holds at the dearer of the two prices that it may find
    assert hold_of(state).blocked == 200 * kept
    # And when the first is refused, at the order's own
    answer = Release("", "0-0", "ANN", "AAA", Side.BUY, 0, ReleaseReason.REPLACE_REJECTED, 1, "0-1")
    positions.handle(state, "releases", "c", answer, 1)
    assert hold_of(state).blocked == 200 * 20


def test_no_more_than_so_many_replaces_wait_at_a_time() -> None:
    state = state_with((10, 20), *[(10, 20)] * MAX_PENDING_REPLACES)
    one_more = validated(OrderAction.REPLACE, 99, 10, 20)
    outputs = risk.handle(state, "validated", "c", one_more, 1)
    assert [record.reason for _, _, record, _ in outputs] == ["TOO_MANY_REPLACES"]
    # It is the last reason of all: what could not be paid for is told first.
    too_dear = validated(OrderAction.REPLACE, 100, 10, 20_000)
    outputs = risk.handle(state, "validated", "c", too_dear, 1)
    assert [record.reason for _, _, record, _ in outputs] == ["INSUFFICIENT_CASH"]
