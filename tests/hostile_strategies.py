"""Random flows of everything that the exchange offers, and of what careless and hostile senders make of it."""

import datetime as dt
from collections.abc import Iterator
from random import Random
from typing import ClassVar, TypeVar

import msgspec

from bourse.pipeline.outputs import Record, Topic
from bourse.pipeline.simulate import SimEvent
from bourse.schemas import records
from bourse.schemas.definitions import Enum, Field, Primitive, RecordDefinition, Type, all_records
from bourse.schemas.records import (
    Account,
    AccountStatus,
    ApprovedOrder,
    Instrument,
    InstrumentStatus,
    InstrumentType,
    Order,
    OrderAction,
    OrderType,
    Participant,
    SelfTradePrevention,
    SessionEvent,
    SessionKind,
    Side,
    TickBand,
    TimeInForce,
)
from bourse.schemas.units import INT64_MAX, INT64_MIN
from tests.account_strategies import MONDAY, NINE_O_CLOCK_NS, command

T = TypeVar("T")
SECOND_NS = 10**9

TRADERS = (
    Account("ANN", participant_id="P", max_open_orders=6),
    Account("BEN", participant_id="P", max_position_value=60_000, max_messages_per_second=9),
    Account("CID", participant_id="Q", max_concentration_bps=7_000),
    Account("DAN", participant_id="R"),
)
PRODUCTS = (
    Instrument(
        "AAA",
        market="XONE",
        maker_fee_bps=7,
        taker_fee_bps=13,
        reference_price=300,
        collar_bps=500,
        depth_by_order=True,
    ),
    Instrument(
        "BBB",
        market="XTWO",
        currency="USD",
        lot_size=5,
        tick_size=5,
        tick_table=(TickBand(300, 10),),
        settlement_days=2,
        price_band_bps=300,
        pause_time_ns=2 * SECOND_NS,
        volatility_auction=True,
    ),
    Instrument(
        "CCC",
        market="XONE",
        instrument_type=InstrumentType.FUTURE,
        multiplier=3,
        maker_fee_bps=250,
        settlement_days=0,
        reference_price=300,
        price_band_bps=400,
        pause_time_ns=2 * SECOND_NS,
        max_order_value=40_000,
        expiry_date=MONDAY + dt.timedelta(days=20),
    ),
)
_NEITHER_BIG_NOR_SMALL = (290, 295, 300, 305, 310)
_ODD = (INT64_MIN, -1, 0, 1, 2, 3, 5, 10, 295, 310, 10_000, 2**31, 2**62, 2**62 + 5, INT64_MAX)
_TEXTS = ("ANN", "BEN", "AAA", "BBB", "EUR", "USD", "XONE", "XTWO", "P", "c1", "c2", "g", "nobody")
_TEXTS += (
    "",
    "/",
    "a/b",
    "x y",
    "\0",
    "\N{LATIN SMALL LETTER U WITH DIAERESIS}",
    "\N{PILE OF POO}",
    "z" * 64,
    "z" * 65,
)
# Not the last years but one: trades of those would be settled when nobody waits for it any more.
_DATES = (
    dt.date.min,
    dt.date(1970, 1, 1),
    MONDAY,
    MONDAY + dt.timedelta(1),
    MONDAY + dt.timedelta(9),
    dt.date.max,
)
_KINDS = "n" * 34 + "r" * 9 + "ccmppphttafid"
_PHASES = (
    SessionKind.OPEN,
    SessionKind.OPEN,
    SessionKind.OPEN,
    SessionKind.OPEN,
    SessionKind.CLOSING_AUCTION,
    SessionKind.CLOSED,
    SessionKind.PRE_OPEN,
    SessionKind.OPENING_AUCTION,
)


def behind_risk(dice: Random, number: int) -> ApprovedOrder:
    """Return the next message of a file of approved orders, which nobody has validated and nothing is held for."""
    action = dice.choice((*[OrderAction.NEW] * 8, *OrderAction))
    order = ApprovedOrder(
        "",
        f"o{number}",
        action,
        f"c{number}",
        dice.choice(TRADERS).account_id,
        "AAA",
        None if action is OrderAction.NEW else f"o{dice.randint(0, number)}",
        side=dice.choice(list(Side)),
        order_type=dice.choice((OrderType.LIMIT, OrderType.LIMIT, *OrderType)),
        time_in_force=dice.choice((TimeInForce.GTC, TimeInForce.GTC, *TimeInForce)),
        quantity=dice.randint(1, 8) * 5,
        price=dice.choice(_NEITHER_BIG_NOR_SMALL),
        event_time_ns=NINE_O_CLOCK_NS + number,
        market="XONE",
    )
    return order if dice.random() > 0.3 else careless(order, dice)


R = TypeVar("R", bound=Record)


def careless(record: R, dice: Random) -> R:
    """Return a record of which one field or a few say something else that its schema allows."""
    fields = all_records()[type(record).__name__].fields
    chosen = dice.sample(fields, min(len(fields), dice.choice((1, 1, 1, 2, 4))))
    return msgspec.structs.replace(record, **{field.name: _anything(field, dice) for field in chosen})


def _anything(field: Field, dice: Random) -> object:
    return None if field.nullable and dice.random() < 0.3 else _of_type(field.type, dice)


def _of_type(type_: Type, dice: Random) -> object:  # noqa: PLR0911 - one for each type
    match type_:
        case Primitive("string"):
            return dice.choice(_TEXTS)
        case Primitive("boolean"):
            return dice.random() < 0.5
        case Primitive("date"):
            return dice.choice(_DATES)
        case Primitive():
            return dice.choice(_ODD)
        case Enum(name):
            return dice.choice(list(getattr(records, name)))
        case RecordDefinition(name):
            return getattr(records, name)(*(_anything(field, dice) for field in type_.fields))
        case array:
            return tuple(_of_type(array.items, dice) for _ in range(dice.randint(0, 3)))


class HostileFlow:
    """Writes inputs one after another; its clock goes forward, and most of what it writes makes sense."""

    def __init__(self, dice: Random) -> None:
        self._dice = dice
        self._number = 0
        self._time_ns = NINE_O_CLOCK_NS
        self._date = MONDAY
        self._names: list[tuple[str, str]] = []
        self._phases = {"XONE": 0, "XTWO": 0}

    def beginning(self) -> Iterator[SimEvent]:
        """Yield what must be known first, and money and shares for everybody."""
        for product in PRODUCTS:
            yield SimEvent(Topic.INSTRUMENTS, None, product)
        for trader in TRADERS:
            yield SimEvent(Topic.ACCOUNTS, None, trader)
            for asset in ("EUR", "USD", *(product.symbol for product in PRODUCTS)):
                amount = 60_000 if asset in {"EUR", "USD"} else 100
                yield self._money(trader.account_id, asset, amount)

    def next(self) -> SimEvent:
        """Return the next input."""
        dice = self._dice
        self._time_ns += dice.choice((0, 1, SECOND_NS // 5, SECOND_NS))
        match dice.choice(_KINDS):
            case "n":
                event = SimEvent(Topic.ORDERS, None, self._new())
            case "r":
                event = SimEvent(Topic.ORDERS, None, self._replace())
            case "c" | "m" as kind:
                event = SimEvent(Topic.ORDERS, None, self._taking_back(kind))
            case "a":
                status = dice.choice((AccountStatus.SUSPENDED, *[AccountStatus.ACTIVE] * 7))
                account = msgspec.structs.replace(dice.choice(TRADERS), status=status)
                event = SimEvent(Topic.ACCOUNTS, None, account)
            case "f":
                status = dice.choice((AccountStatus.SUSPENDED, *[AccountStatus.ACTIVE] * 7))
                event = SimEvent(Topic.PARTICIPANTS, None, Participant(dice.choice("PQR"), status))
            case "i":
                event = SimEvent(Topic.INSTRUMENTS, None, self._changed_terms(dice.choice(PRODUCTS)))
            case "k":
                firm = Participant(
                    dice.choice("PQ"), dice.choice((AccountStatus.SUSPENDED, *[AccountStatus.ACTIVE] * 3))
                )
                event = SimEvent(Topic.PARTICIPANTS, None, firm)
            case "d":
                asset, amount = dice.choice(("EUR", "AAA")), dice.choice((*_ODD, 500))
                event = self._money(dice.choice(TRADERS).account_id, asset, amount)
            case kind:
                event = SimEvent(Topic.SESSIONS, None, self._session(kind))
        return event if dice.random() > 0.1 else event._replace(record=careless(event.record, dice))

    def _changed_terms(self, product: Instrument) -> Instrument:
        """Return an instrument as operators may publish it again: with another status, or on other terms."""
        dice = self._dice
        status = dice.choice((*InstrumentStatus, *[InstrumentStatus.ACTIVE] * 6))
        terms = msgspec.structs.replace(
            dice.choice(PRODUCTS),
            symbol=product.symbol,
            market=product.market,
            currency=product.currency,
            multiplier=product.multiplier,
        )
        return msgspec.structs.replace(terms if dice.random() < 0.3 else product, status=status)

    def ending(self) -> Iterator[SimEvent]:
        """Yield what ends every halt, opens and closes every market, and then brings in every settlement date."""
        for product in PRODUCTS:
            yield SimEvent(Topic.INSTRUMENTS, None, product)
        for days, kinds in (
            (9, (SessionKind.RESUME, SessionKind.OPEN, SessionKind.CLOSED)),
            (30, (SessionKind.TICK,)),
        ):
            self._date += dt.timedelta(days)
            for market in self._phases:
                for kind in kinds:
                    event = SessionEvent(market, kind, None, self._date, self._time_ns)
                    yield SimEvent(Topic.SESSIONS, None, event)

    def _fresh(self) -> str:
        self._number += 1
        return f"c{self._number}"

    def _money(self, account_id: str, asset: str, amount: int) -> SimEvent:
        return SimEvent(
            Topic.WALLET_COMMANDS,
            None,
            command(asset=asset, amount=amount, request_id=self._fresh(), account_id=account_id),
        )

    def _maybe(self, value: T, chance: float) -> T | None:
        return value if self._dice.random() < chance else None

    def _price(self) -> int:
        return self._dice.choice(_NEITHER_BIG_NOR_SMALL)

    def _new(self) -> Order:
        dice = self._dice
        account_id, name = dice.choice(TRADERS).account_id, self._fresh()
        self._names.append((account_id, name))
        kind = dice.choice((*OrderType, OrderType.LIMIT, OrderType.LIMIT, OrderType.LIMIT, OrderType.MARKET))
        lasts = dice.choice((*TimeInForce, TimeInForce.DAY, TimeInForce.GTC, TimeInForce.GTC))
        quantity = dice.randint(1, 8) * 5
        limited = kind in {OrderType.LIMIT, OrderType.STOP_LIMIT}
        stopped = kind in {OrderType.STOP, OrderType.STOP_LIMIT}
        return Order(
            OrderAction.NEW,
            name,
            account_id,
            None,
            dice.choice(PRODUCTS).symbol,
            dice.choice(list(Side)),
            kind,
            lasts,
            quantity,
            self._price() if limited else None,
            self._price()
            if stopped
            else self._maybe(self._price(), 0.3 if kind is OrderType.TRAILING_STOP else 0.01),
            dice.choice((5, 10, 20)) if kind is OrderType.TRAILING_STOP else None,
            self._maybe(dice.choice((5, 10)), 0.2 if limited else 0.01),
            dice.random() < 0.1,
            dice.choice((*SelfTradePrevention, SelfTradePrevention.NONE)),
            self._time_ns + dice.randint(0, 9) * SECOND_NS if lasts is TimeInForce.GTD else None,
            self._maybe(dice.choice("gh"), 0.2),
            self._time_ns,
        )

    def _target(self) -> tuple[str, str]:
        """Return one of the last orders' names, or one that nobody has used."""
        return self._dice.choice([*self._names[-8:], ("ANN", "none")])

    def _replace(self) -> Order:
        account_id, target = self._target()
        name = self._fresh()
        self._names.append((account_id, name))
        return Order(
            OrderAction.REPLACE,
            name,
            account_id,
            target,
            quantity=self._dice.randint(0, 8) * 5,
            price=self._maybe(self._price(), 0.5),
            stop_price=self._maybe(self._price(), 0.3),
            trail_amount=self._maybe(15, 0.1),
            display_quantity=self._maybe(5, 0.1),
            sent_time_ns=self._time_ns,
        )

    def _taking_back(self, kind: str) -> Order:
        account_id, target = self._target()
        if kind == "c":
            return Order(OrderAction.CANCEL, self._fresh(), account_id, target, sent_time_ns=self._time_ns)
        symbol = self._dice.choice((None, "AAA"))
        return Order(
            OrderAction.MASS_CANCEL, self._fresh(), account_id, symbol=symbol, sent_time_ns=self._time_ns
        )

    def _session(self, kind: str) -> SessionEvent:
        dice = self._dice
        market = dice.choice(list(self._phases))
        symbol, level = None, None
        match kind:
            case "p":
                self._phases[market] += 1
                what = _PHASES[self._phases[market] % len(_PHASES)]
                if what is SessionKind.PRE_OPEN:
                    self._date += dt.timedelta(days=dice.randint(0, 3))
            case "h":
                what = dice.choice((SessionKind.HALT, *[SessionKind.RESUME] * 3))
                symbol = dice.choice((None, "AAA", "BBB"))
                if what is SessionKind.HALT and symbol is None:
                    level = dice.choice((None, 1, 2, 3))
            case _:
                what = SessionKind.TICK
                self._time_ns += dice.choice((0, 2, 1_000)) * SECOND_NS
        return SessionEvent(market, what, symbol, self._date, self._time_ns, level)


class ExtremeFlow:
    """Writes orders and replaces of one rich account whose figures are near the limits of what a record can say."""

    _FIGURES = (1, 5, 100, 120, 2**31, 2**62, INT64_MAX // 2, INT64_MAX - 1, INT64_MAX)

    def __init__(self, dice: Random) -> None:
        self._dice = dice
        self._number = 0

    def beginning(self) -> Iterator[SimEvent]:
        """Yield an instrument on any terms, and an account with cash and shares."""
        dice = self._dice
        yield SimEvent(
            Topic.INSTRUMENTS,
            None,
            Instrument(
                "AAA",
                market="XONE",
                reference_price=dice.choice((None, *self._FIGURES)),
                collar_bps=dice.choice((None, 0, 500, INT64_MAX)),
                multiplier=dice.choice((1, 1, 3, INT64_MAX)),
                taker_fee_bps=dice.choice((0, 13, 10_000)),
            ),
        )
        yield SimEvent(Topic.ACCOUNTS, None, Account("ANN"))
        for asset in ("EUR", "AAA"):
            amount = dice.choice((10**6, INT64_MAX // 2, INT64_MAX))
            yield SimEvent(Topic.WALLET_COMMANDS, None, command(asset=asset, amount=amount, request_id=asset))

    def next(self) -> SimEvent:
        """Return an order that may wait or rest, or a replace of an earlier one."""
        self._number += 1
        return SimEvent(Topic.ORDERS, None, self._new() if self._dice.random() < 0.4 else self._replace())

    def _new(self) -> Order:
        dice = self._dice
        kind = dice.choice(list(OrderType))
        limited = kind in {OrderType.LIMIT, OrderType.STOP_LIMIT}
        trails = kind is OrderType.TRAILING_STOP
        stops = trails or kind in {OrderType.STOP, OrderType.STOP_LIMIT}
        return Order(
            OrderAction.NEW,
            f"c{self._number}",
            "ANN",
            symbol="AAA",
            side=dice.choice(list(Side)),
            order_type=kind,
            quantity=dice.choice((1, 5, *self._FIGURES)),
            price=dice.choice((100, *self._FIGURES)) if limited else None,
            stop_price=dice.choice((120, *self._FIGURES, *[None] * trails)) if stops else None,
            trail_amount=dice.choice(self._FIGURES) if trails else None,
            sent_time_ns=NINE_O_CLOCK_NS,
        )

    def _replace(self) -> Order:
        dice = self._dice
        changed = dice.choice(("price", "stop_price", "stop_price", "trail_amount", "trail_amount"))
        return Order(
            OrderAction.REPLACE,
            f"c{self._number}",
            "ANN",
            f"c{dice.randint(max(1, self._number - 8), self._number)}",
            quantity=dice.choice((0, 0, 1, 5, *self._FIGURES)),
            sent_time_ns=NINE_O_CLOCK_NS,
            **{changed: dice.choice(self._FIGURES)},
        )


class ReplaceFlow:
    """Writes replaces, most of all, of a few orders that the book refuses for a while and then takes: pauses, halts, post-only."""

    _PRICES = (94, 97, 100, 103, 106)
    _CHANGES: ClassVar[dict[OrderType, tuple[str, ...]]] = {
        OrderType.LIMIT: ("price",),
        OrderType.STOP: ("stop_price",),
        OrderType.TRAILING_STOP: ("stop_price", "trail_amount"),
    }

    def __init__(self, dice: Random) -> None:
        self._dice = dice
        self._number = 0
        self._time_ns = NINE_O_CLOCK_NS
        self._own: list[tuple[str, OrderType]] = []
        # Without sessions a pause ends by the messages' own times, so that of two in a row one may be refused and one not.
        self._kinds = dice.choice(("rrrrrrrrrnxxxx", "rrrrrrrrrnxxxxh"))

    def beginning(self) -> Iterator[SimEvent]:
        """Yield an instrument that pauses easily, two accounts, and a last price."""
        terms = Instrument(
            "AAA",
            market="XONE",
            collar_bps=self._dice.choice((None, 0, 500)),
            price_band_bps=300,
            pause_time_ns=2 * SECOND_NS,
            maker_fee_bps=37,
            taker_fee_bps=50,
        )
        yield SimEvent(Topic.INSTRUMENTS, None, terms)
        for account_id in ("ANN", "BEN"):
            yield SimEvent(Topic.ACCOUNTS, None, Account(account_id))
            for asset in ("EUR", "AAA"):
                money = command(asset=asset, amount=10**5, request_id=asset, account_id=account_id)
                yield SimEvent(Topic.WALLET_COMMANDS, None, money)
        for side in Side:
            yield self._order("BEN", side, OrderType.LIMIT, 1, 100)
        for kind, price in ((OrderType.LIMIT, 97), (OrderType.STOP, 106), (OrderType.TRAILING_STOP, 106)):
            yield self._own_order(Side.BUY, kind, price)

    def next(self) -> SimEvent:
        """Return the next input."""
        dice = self._dice
        self._time_ns += dice.choice((0, 0, SECOND_NS))
        match dice.choice(self._kinds):
            case "n":
                side, kind = dice.choice((*[Side.BUY] * 3, Side.SELL)), dice.choice(list(self._CHANGES))
                event = self._own_order(side, kind, dice.choice(self._PRICES))
            case "r":
                event = self._replace()
            case "h":
                kind = dice.choice((SessionKind.HALT, *[SessionKind.RESUME] * 2, SessionKind.TICK))
                event = SimEvent(
                    Topic.SESSIONS, None, SessionEvent("XONE", kind, None, MONDAY, self._time_ns)
                )
            case _:
                side, price = dice.choice(list(Side)), dice.choice(self._PRICES)
                event = self._order("BEN", side, OrderType.LIMIT, dice.randint(1, 30), price)
        return event

    def ending(self) -> Iterator[SimEvent]:
        """Yield what ends every halt and pause."""
        self._time_ns += 9 * SECOND_NS
        for kind in (SessionKind.RESUME, SessionKind.TICK) if "h" in self._kinds else ():
            yield SimEvent(Topic.SESSIONS, None, SessionEvent("XONE", kind, None, MONDAY, self._time_ns))

    def _own_order(self, side: Side, kind: OrderType, price: int) -> SimEvent:
        event = self._order("ANN", side, kind, self._dice.randint(1, 40), price)
        self._own.append((f"c{self._number}", kind))
        return event

    def _order(self, account_id: str, side: Side, kind: OrderType, quantity: int, price: int) -> SimEvent:
        self._number += 1
        is_limit = kind is OrderType.LIMIT
        order = Order(
            OrderAction.NEW,
            f"c{self._number}",
            account_id,
            symbol="AAA",
            side=side,
            order_type=kind,
            time_in_force=TimeInForce.GTC,
            quantity=quantity,
            price=price if is_limit else None,
            stop_price=None if is_limit else price,
            trail_amount=5 if kind is OrderType.TRAILING_STOP else None,
            post_only=is_limit and account_id == "ANN",
            sent_time_ns=self._time_ns,
        )
        return SimEvent(Topic.ORDERS, None, order)

    def _replace(self) -> SimEvent:
        self._number += 1
        dice = self._dice
        name, kind = dice.choice(self._own[-4:])
        changed = dice.choice((None, *self._CHANGES[kind]))
        prices = (5, 10, 15) if changed == "trail_amount" else self._PRICES
        order = Order(
            OrderAction.REPLACE,
            f"c{self._number}",
            "ANN",
            name,
            quantity=dice.choice((0, *[dice.randint(1, 60)] * 9)),
            sent_time_ns=self._time_ns,
            **({} if changed is None else {changed: dice.choice(prices)}),
        )
        return SimEvent(Topic.ORDERS, None, order)
