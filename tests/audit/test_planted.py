"""A good log passes; with one record dropped, doubled, altered or swapped, exactly the equation that it breaks fails."""

import datetime as dt
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from bourse.audit import Auditor, Entry, Equation, Result
from bourse.pipeline.matching import parts
from bourse.pipeline.outputs import Topic
from bourse.pipeline.simulate import SimEvent
from bourse.schemas.records import (
    Announcement,
    AnnouncementKind,
    BookUpdate,
    DeadLetter,
    Hold,
    Instrument,
    OrderStatus,
    PositionCause,
    RestingOrder,
    SessionEvent,
    SessionKind,
    SettlementStatus,
    Side,
    TimeInForce,
    TransactionKind,
    Wallet,
)
from tests.account_strategies import (
    MONDAY,
    FlowWriter,
    command,
    next_event,
    opening_deposits,
    reference_data,
)
from tests.audit.logs import Log, audit, by_topic, failures

K = TransactionKind
S = OrderStatus


def _good_log() -> list[Entry]:
    """A flow in which everything happens, with a withdrawal and a resting order as its last inputs."""
    log, writer, dice = Log(), FlowWriter(), Random(11)
    for event in (*reference_data(), *opening_deposits(writer)):
        log.feed(event)
    for _ in range(150):
        log.feed(next_event(writer, dice))
    for event in writer.settle_everything():
        log.feed(event)
    log.feed(writer.deposit("ANN", "EUR", 50_000))
    log.feed(writer.withdraw("ANN", "EUR", 10))
    log.feed(writer.deposit("BEN", "EUR", 50_000))
    log.feed(writer.deposit("BEN", "AAA", 50))
    log.feed(writer.session("XONE", SessionKind.RESUME, 0, None))
    log.feed(writer.session("XONE", SessionKind.RESUME, 0, "AAA"))
    log.feed(writer.session("XONE", SessionKind.OPEN, 0, None))
    log.feed(writer.new("BEN", "AAA", Side.BUY, 5, 1, TimeInForce.GTC))
    return [*log.entries, *log.changelog()]


GOOD = _good_log()

CLOSE = SessionEvent("XONE", SessionKind.CLOSED, None, MONDAY)

Predicate = Callable[[Any], bool]


class Planted(NamedTuple):
    """A log with something wrong in it, and where that shows first."""

    log: list[Entry]
    place: str | None = None
    also: frozenset[str] = frozenset()
    """Other equations that cannot hold without it."""


def find(topic: str, test: Predicate = lambda _: True, which: int = 0) -> int:
    """The index of an entry of a topic whose record passes a test."""
    places = [n for n, entry in enumerate(GOOD) if entry.topic == topic and test(entry.record)]
    return places[which]


def without(index: int, place: str | None = None) -> Planted:
    return Planted([*GOOD[:index], *GOOD[index + 1 :]], place)


def doubled(index: int) -> Planted:
    again = GOOD[index]._replace(offset=GOOD[index].offset + 1_000)
    return Planted([*GOOD[: index + 1], again, *GOOD[index + 1 :]], again.place)


def altered(index: int, **changes: object) -> Planted:
    entry = GOOD[index]
    changed = entry._replace(record=replace(entry.record, **changes))
    return Planted([*GOOD[:index], changed, *GOOD[index + 1 :]], entry.place)


def swapped(first: int, second: int) -> Planted:
    log = list(GOOD)
    log[first], log[second] = log[second], log[first]
    return Planted(log, GOOD[first].place)


def timed(log: list[Entry]) -> list[Entry]:
    """The log as Kafka would have it that got a record each minute."""
    return [entry._replace(timestamp_ms=60_000 * number) for number, entry in enumerate(log)]


def last_of_wallet(test: Predicate) -> int:
    """The index of the last change of some wallet, which passes a test."""
    last = {
        (entry.record.account_id, entry.record.asset): n
        for n, entry in enumerate(GOOD)
        if entry.topic == "wallet-transactions"
    }
    return next(n for n in last.values() if test(GOOD[n].record))


def a1_an_order_without_answer() -> Planted:
    refusal = find("order-events", lambda e: e.event_id.endswith("/v0") and e.reason == "UNKNOWN_ORDER")
    return without(refusal, GOOD[refusal].record.event_id.removesuffix("/v0"))


def a1_an_answer_without_order() -> Planted:
    order = find("orders")
    answer = find("validated", lambda e: e.event_id == f"{GOOD[order].place}/v0")
    return without(order, GOOD[answer].place)


def a2_a_record_twice() -> Planted:
    return doubled(find("releases"))


def a2_a_record_twice_long_after() -> Planted:
    rejected = find("order-events", lambda e: e.status is S.CANCEL_REJECTED and "/m" in e.event_id)
    again = GOOD[rejected]._replace(offset=9_999)
    return Planted([*GOOD, again], again.place)


def a2_an_input_lost_between_stages() -> Planted:
    approved = find("risk-approved", lambda e: e.action == "CANCEL")
    cause = GOOD[approved].record.event_id.rpartition("/")[0]
    return without(approved, GOOD[find("validated", lambda e: e.event_id == cause)].place)


def a2_an_announcement_that_a_partition_misses() -> Planted:
    announced = find("announcements", lambda e: e.session is not None and e.session.kind == "RESUME")
    return without(announced, GOOD[announced].record.event_id.removesuffix("/a0"))


def a3_a_step_left_out() -> Planted:
    approved = find("order-events", lambda e: e.status is S.RISK_APPROVED)
    order_id = GOOD[approved].record.order_id
    after = next(
        n
        for n, e in enumerate(GOOD)
        if n > approved and getattr(e.record, "order_id", "") == order_id and e.topic == "order-events"
    )
    return without(approved, GOOD[after].place)


def a3_life_after_death() -> Planted:
    ended = find("order-events", lambda e: e.status is S.CANCELLED)
    late = GOOD[ended]._replace(
        offset=9_999, record=replace(GOOD[ended].record, event_id="orders/0/9999/v0/r0/m7")
    )
    return Planted([*GOOD, late], late.place)


def a3_an_order_of_the_day_that_outlives_it() -> Planted:
    """It was in the book a minute before the market closed, says Kafka."""
    log = [entry._replace(timestamp_ms=1_000) for entry in GOOD]
    approved = find("risk-approved", which=-1)
    log[approved] = GOOD[approved]._replace(
        record=replace(GOOD[approved].record, time_in_force=TimeInForce.DAY)
    )
    opened = find("order-events", lambda e: e.status is S.OPEN, -1)
    close = Announcement("sessions/0/9999/a0", AnnouncementKind.SESSION, session=CLOSE)
    return Planted(
        [
            *log,
            Entry("sessions", 0, 9_999, 60_000, "XONE", CLOSE),
            Entry("announcements", 0, 9_999, 61_000, "XONE", close),
        ],
        GOOD[opened].place,
    )


def a4_more_left_than_there_is() -> Planted:
    opened = find("order-events", lambda e: e.status is S.OPEN)
    return altered(opened, leaves_quantity=GOOD[opened].record.leaves_quantity + 1)


def a4_a_sum_that_is_not_that_of_the_trades() -> Planted:
    trade = find("trades", which=4)
    planted = altered(trade, cum_quantity=GOOD[trade].record.cum_quantity + 1)
    order_id, cum = GOOD[trade].record.order_id, GOOD[trade].record.cum_quantity
    fill = find("order-events", lambda e: (e.order_id, e.cum_quantity) == (order_id, cum) and e.last_price)
    return planted._replace(place=GOOD[trade].place if trade < fill else GOOD[fill].place)


def a5_a_print_at_another_price() -> Planted:
    tape = find("tape")
    return altered(tape, price=GOOD[tape].record.price + 10)


def a5_a_trade_beyond_a_limit() -> Planted:
    order = find("trades", lambda e: e.liquidity == "MAKER")
    order_id, price = GOOD[order].record.order_id, GOOD[order].record.price
    approved = find("risk-approved", lambda e: e.order_id == order_id)
    worse = price - 10 if GOOD[order].record.side is Side.BUY else price + 10
    return altered(approved, price=worse)._replace(place=GOOD[order].place, also=frozenset({"A6"}))


def a6_an_older_order_passed_over() -> Planted:
    """Two orders of one account, alike but for their ids, rest; they change their places in time."""
    log, writer = Log(), FlowWriter()
    for event in (*reference_data(), *opening_deposits(writer)):
        log.feed(event)
    for account_id, side, quantity in (("ANN", Side.SELL, 5), ("ANN", Side.SELL, 5), ("BEN", Side.BUY, 5)):
        log.feed(writer.new(account_id, "AAA", side, quantity, 300, TimeInForce.GTC))
    news = [n for n, entry in enumerate(log.entries) if entry.topic == "risk-approved"][:2]
    one, other = (log.entries[n] for n in news)
    for n, entry, order_id in ((news[0], one, other.record.order_id), (news[1], other, one.record.order_id)):
        log.entries[n] = entry._replace(record=replace(entry.record, order_id=order_id))
    trade = next(
        entry for entry in log.entries if entry.topic == "trades" and entry.record.liquidity == "TAKER"
    )
    return Planted(log.entries, trade.place)


def a6_a_level_that_is_not_there() -> Planted:
    update = find("book-updates", lambda e: len(e.changes) == 1 and e.changes[0].quantity)
    change = GOOD[update].record.changes[0]
    return altered(update, changes=(replace(change, quantity=change.quantity + 5),))


def a7_cash_from_nowhere() -> Planted:
    return altered(
        find("wallet-transactions", lambda e: e.kind is K.DEPOSIT and e.asset == "EUR"), kind=K.FEE
    )


def a8_shares_from_nowhere() -> Planted:
    return altered(
        find("wallet-transactions", lambda e: e.kind is K.DEPOSIT and e.asset == "BBB"), kind=K.BUY
    )


def a9_more_taken_out_than_there_is() -> Planted:
    last = last_of_wallet(lambda e: e.kind is K.WITHDRAWAL and e.account_id == "ANN")
    had = GOOD[last].record.available + GOOD[last].record.amount
    return altered(last, available=-1, available_delta=-had - 1, amount=had + 1)


def a10_a_unit_too_much_blocked() -> Planted:
    last = last_of_wallet(lambda e: e.kind is K.BLOCK and e.account_id == "BEN")
    block = GOOD[last].record
    return altered(
        last,
        amount=block.amount + 1,
        available=block.available - 1,
        blocked=block.blocked + 1,
        available_delta=block.available_delta - 1,
        blocked_delta=block.blocked_delta + 1,
    )


def a11_a_balance_out_of_line() -> Planted:
    change = find("wallet-transactions", lambda e: e.kind is K.BLOCK)
    return altered(change, available=GOOD[change].record.available + 1)


def a12_a_profit_that_nobody_made() -> Planted:
    update = find("positions", lambda e: e.cause is PositionCause.TRADE)
    return altered(update, realised_pnl=GOOD[update].record.realised_pnl + 1)


def a13_a_position_that_another_trade_moved() -> Planted:
    update = find("positions", lambda e: e.cause is PositionCause.TRADE)
    leg = GOOD[update].record.event_id.rpartition("/")[0]
    place = GOOD[find("trades", lambda e: e.event_id == leg)].place
    return altered(update, trade_id="another")._replace(place=place)


def a14_a_day_late() -> Planted:
    update = find("settlements", lambda e: e.trades == 1)
    date = GOOD[update].record.settlement_date
    ours = GOOD[update].record.settlement_id
    log = [
        entry._replace(record=replace(entry.record, settlement_date=date.replace(year=date.year + 1)))
        if getattr(entry.record, "settlement_id", None) == ours
        else entry
        for entry in GOOD
    ]
    return Planted(log, GOOD[update].place)


def a14_never_settled() -> Planted:
    settled = find("settlements", lambda e: e.status is SettlementStatus.SETTLED, -1)
    return without(settled)


def a14_settled_twice() -> Planted:
    settled = find("settlements", lambda e: e.status is SettlementStatus.SETTLED, -1)
    again = GOOD[settled]._replace(
        offset=9_999, record=replace(GOOD[settled].record, event_id="sessions/0/9999/a0/s0")
    )
    return Planted([*GOOD, again], again.place)


def a15_a_wallet_row_that_differs() -> Planted:
    row = find("changelog", lambda e: isinstance(e, Wallet) and e.available)
    return altered(row, available=GOOD[row].record.available + 1)


def a15_a_row_of_an_order_that_is_over() -> Planted:
    row = find("changelog", lambda e: isinstance(e, Hold))
    again = GOOD[row]._replace(key="holds/BEN/0-0", offset=9_999)
    return Planted([*GOOD, again], again.place)


def a15_an_order_that_no_row_remembers() -> Planted:
    row = find("changelog", lambda e: isinstance(e, RestingOrder))
    gone = GOOD[row]._replace(record=None, offset=9_999)
    return Planted([*GOOD, gone])


def a18_a_request_that_took_effect_twice() -> Planted:
    first = find("validated")
    account_id = GOOD[first].record.account_id
    second = find("validated", lambda e: e.account_id == account_id, 1)
    planted = altered(second, client_order_id=GOOD[first].record.client_order_id)
    return Planted(timed(planted.log), GOOD[second].record.event_id.removesuffix("/v0"))


def a19_two_records_that_changed_places() -> Planted:
    return swapped(find("validated", which=3), find("validated", which=4))


def a19_an_account_in_two_partitions() -> Planted:
    event = find("order-events", lambda e: e.status is S.CANCEL_REJECTED)
    entry = GOOD[event]._replace(partition=1)
    return Planted([*GOOD[:event], entry, *GOOD[event + 1 :]], entry.place)


def a20_a_crossed_book() -> Planted:
    update = find("book-updates", lambda e: e.best_ask is not None)
    return altered(update, best_bid=GOOD[update].record.best_ask)


def a20_an_update_that_is_missing() -> Planted:
    update = find("book-updates", which=2)
    symbol = GOOD[update].record.symbol
    following = next(
        entry.place
        for entry in GOOD[update + 1 :]
        if entry.topic == "book-updates" and entry.record.symbol == symbol
    )
    return without(update, following)


def a23_an_order_off_the_lot() -> Planted:
    """The instrument never had the lots that would have allowed the order; the announcement says another one."""
    tick = find("announcements", lambda e: e.instrument is not None and e.instrument.symbol == "AAA")
    instrument = replace(GOOD[tick].record.instrument, lot_size=10)
    order = find("risk-approved", lambda e: e.symbol == "AAA" and e.quantity % 10)
    return altered(tick, instrument=instrument)._replace(place=GOOD[order].place)


POISON = Entry("accounts", 0, 9_999, 0, "ANN", None, b"\x07")
LETTER = Entry(
    "dead-letters",
    0,
    0,
    0,
    "ANN",
    DeadLetter("accounts/0/9999/v0", "accounts", 0, 9_999, "validation", "no", b"ANN", b"\x07"),
)


def a21_poison_that_nobody_put_aside() -> Planted:
    return Planted([*GOOD, POISON], POISON.place)


def a21_a_dead_letter_with_other_bytes() -> Planted:
    letter = LETTER._replace(record=replace(LETTER.record, value=b"\x08"))
    return Planted([*GOOD, POISON, letter], letter.place)


PLANTS = [thing for name, thing in sorted(globals().items()) if name[:1] == "a" and name[1:2].isdigit()]


def test_the_good_log_passes() -> None:
    assert failures(audit([*GOOD, POISON, LETTER])) == {}


def test_a_log_that_is_cut_anywhere_fails_nothing_unless_it_is_said_to_be_at_rest() -> None:
    auditor = Auditor()
    for entry in GOOD:
        assert failures(auditor.report(at_rest=False)) == {}
        auditor.feed(entry)
    assert failures(auditor.report()) == {}


def test_nothing_is_passed_that_nothing_was_looked_at_for() -> None:
    assert {finding.result for finding in audit([]).findings} == {Result.NOT_CHECKED}


def test_a_symbol_whose_updates_have_a_gap_is_left_out_and_counted() -> None:
    report = audit(a20_an_update_that_is_missing().log)
    reason = report.finding(Equation.A6).reason
    assert reason == "not checked: 1 symbol (updates are missing, see A20: 1)"


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_what_is_planted_is_found(plant: Callable[[], Planted]) -> None:
    """Exactly one equation fails, at the record that shows it first, also when topics are read one after the other."""
    planted = plant()
    equation = plant.__name__.partition("_")[0].upper()
    # What the topics say wrongly, the rows contradict as well: only where rows are meant, they are read.
    log = [entry for entry in planted.log if equation == "A15" or entry.topic != "changelog"]
    found = failures(audit(log))
    assert found.keys() == {equation, *planted.also}, found
    if planted.place is not None:
        assert found[equation].startswith(f"{planted.place}: "), found
    assert failures(audit(by_topic(log))).keys() == found.keys()


def test_a_replace_that_changes_nothing_may_come_just_before_the_close() -> None:
    # No update of the book tells when it came; played after the close, its order would be gone.
    log, writer = Log(), FlowWriter()
    for event in (*reference_data(), *opening_deposits(writer)):
        log.feed(event)
    log.feed(writer.new("ANN", "AAA", Side.BUY, 5, 300, TimeInForce.DAY))
    log.feed(writer.new("BEN", "AAA", Side.BUY, 5, 290, TimeInForce.GTC))
    log.feed(writer.replace("ANN", 0, 5, None))
    log.feed(writer.session("XONE", SessionKind.CLOSED, 0, None))
    log.feed(writer.cancel("BEN", 0))
    assert failures(audit(log.entries)) == {}


def test_trades_with_what_an_iceberg_hides_may_be_the_last_that_happened() -> None:
    # It shows as much again after each of them: no level has changed.
    log, writer = Log(), FlowWriter()
    for event in (*reference_data(), *opening_deposits(writer)):
        log.feed(event)
    iceberg = writer.new("ANN", "AAA", Side.BUY, 20, 300, TimeInForce.GTC)
    log.feed(iceberg._replace(record=replace(iceberg.record, display_quantity=5)))
    log.feed(writer.new("BEN", "AAA", Side.SELL, 15, 300, TimeInForce.IOC))
    assert failures(audit(log.entries)) == {}
    trades = [entry for entry in log.entries if entry.topic == "trades"]
    assert len(trades) == 6
    entries = [entry for entry in log.entries if entry is not trades[-1] and entry is not trades[-2]]
    assert "A6" in failures(audit(entries))


def test_a_refused_command_whose_ids_are_cut_short_tells_no_balance() -> None:
    log, writer = Log(), FlowWriter()
    for event in (*reference_data(), writer.deposit("ANN", "EUR", 10)):
        log.feed(event)
    log.feed(SimEvent(Topic.WALLET_COMMANDS, None, command(request_id="no id", amount=1)))
    assert failures(audit(log.entries)) == {}


def opened_by_order() -> tuple[Log, FlowWriter]:
    """A market whose books tell of their orders, before the first of them."""
    log, writer = Log(), FlowWriter()
    for event in (*reference_data(), *opening_deposits(writer)):
        instrument = event.record
        if isinstance(instrument, Instrument):
            event = event._replace(record=replace(instrument, depth_by_order=True))  # noqa: PLW2901
        log.feed(event)
    return log, writer


def test_a_book_that_tells_of_its_orders_is_played_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    # Orders that are spread over several updates are several records of one cause.
    monkeypatch.setattr(parts, "MOST", 2)
    log, writer = opened_by_order()
    for price in (290, 300, 310, 320):
        log.feed(writer.new("ANN", "AAA", Side.BUY, 5, price, TimeInForce.GTC))
    log.feed(writer.new("BEN", "AAA", Side.SELL, 20, 290, TimeInForce.GTC))
    updates = [entry.record for entry in log.entries if isinstance(entry.record, BookUpdate)]
    assert [update.parts for update in updates] == [1, 1, 1, 1, 2, 2]
    finding = audit(log.entries).finding(Equation.A6)
    assert (finding.result, finding.looked_at, finding.reason) == (Result.PASSED, 5, None)


def by_order_log() -> list[Entry]:
    """Two orders at a price, one of them an iceberg that shows its next part behind the other, and a snapshot of both."""
    log, writer = opened_by_order()
    log.feed(writer.session("XONE", SessionKind.OPEN, 0, None))
    iceberg = writer.new("ANN", "AAA", Side.BUY, 20, 300, TimeInForce.GTC)
    log.feed(iceberg._replace(record=replace(iceberg.record, display_quantity=5)))
    log.feed(writer.new("ANN", "AAA", Side.BUY, 7, 300, TimeInForce.GTC))
    log.feed(writer.new("BEN", "AAA", Side.SELL, 5, 300, TimeInForce.IOC))
    log.feed(writer.session("XONE", SessionKind.CLOSING_AUCTION, 0, None))
    log.feed(writer.cancel("ANN", 1))
    return log.entries


def other_place(update: BookUpdate) -> BookUpdate:
    first, second = update.orders
    return replace(update, orders=(replace(first, place=second.place), replace(second, place=first.place)))


TOLD_WRONGLY: dict[str, tuple[int, Callable[[BookUpdate], BookUpdate], set[str]]] = {
    "an order is not told of": (1, lambda u: replace(u, orders=()), {"A20"}),
    "it displays something else": (
        1,
        lambda u: replace(u, orders=(replace(u.orders[0], quantity=6),)),
        {"A6", "A20"},
    ),
    "it is another order": (1, lambda u: replace(u, orders=(replace(u.orders[0], order_id="0-9"),)), {"A6"}),
    "the other one comes first": (-2, other_place, {"A6"}),
    "an order is not told to be gone": (-1, lambda u: replace(u, orders=()), {"A20"}),
    "another order is gone": (
        -1,
        lambda u: replace(u, orders=(replace(u.orders[0], order_id="0-1"),)),
        {"A6"},
    ),
}


def test_orders_that_a_book_tells_of_are_those_of_the_naive_book() -> None:
    assert failures(audit(by_order_log())) == {}


@pytest.mark.parametrize("wrong", TOLD_WRONGLY)
def test_an_order_that_is_told_of_wrongly_is_found(wrong: str) -> None:
    which, change, equations = TOLD_WRONGLY[wrong]
    log = by_order_log()
    places = [n for n, entry in enumerate(log) if entry.topic == "book-updates"]
    entry = log[places[which]]
    log[places[which]] = entry._replace(record=change(entry.record))
    assert equations <= failures(audit(log)).keys() <= equations | {"A20"}


@pytest.mark.parametrize(("days", "is_found"), [(30, True), (31, False)])
def test_an_id_may_be_used_again_when_it_is_forgotten_and_not_before(days: int, *, is_found: bool) -> None:
    log, writer = Log(), FlowWriter()
    for event in (*reference_data(), *opening_deposits(writer)):
        log.feed(event)
    log.feed(writer.session("XONE", SessionKind.OPEN, 0, None))
    first = writer.new("ANN", "AAA", Side.BUY, 5, 290, TimeInForce.IOC)
    log.feed(first)
    for passed in (*range(1, days, 7), days):
        date = MONDAY + dt.timedelta(passed)
        opening = replace(CLOSE, kind=SessionKind.OPEN, business_date=date)
        log.feed(SimEvent(Topic.SESSIONS, None, opening))
    if is_found:
        # As if the stage had forgotten it too early.
        log.forget(first)
    log.feed(first)
    effects = [entry for entry in log.entries if entry.topic == "validated"]
    assert len(effects) == 2
    assert ("A18" in failures(audit(timed(log.entries)))) is is_found
