"""A book to talk to in tests: commands in, outputs by topic out."""

from typing import TypeVar

from bourse.pipeline import matching
from bourse.pipeline.outputs import Output, Record, Topic
from bourse.pipeline.state import State
from bourse.pipeline.validation import reference
from bourse.schemas.records import (
    Announcement,
    AnnouncementKind,
    ApprovedOrder,
    BookUpdate,
    Instrument,
    OrderAction,
    OrderEvent,
    Release,
    RestingOrder,
    SessionEvent,
    SessionKind,
    Side,
    TapePrint,
    TimeInForce,
    Trade,
)
from bourse.schemas.units import Quantity, TimeNs
from tests.strategies import DAY, MARKET, SYMBOL, BookMessage

R = TypeVar("R", bound=Record)
GTC, IOC = TimeInForce.GTC, TimeInForce.IOC


class Heard:
    """What the book said to one message."""

    def __init__(self, outputs: list[Output]) -> None:
        self.outputs = outputs
        self.trades = self._all(Trade)
        self.events = self._all(OrderEvent)
        self.releases = self._all(Release)
        self.tape = self._all(TapePrint)
        self.updates = self._all(BookUpdate)

    def _all(self, record_type: type[R]) -> list[R]:
        return [record for _, _, record, _ in self.outputs if isinstance(record, record_type)]

    @property
    def topics(self) -> list[Topic]:
        return [topic for topic, _, _, _ in self.outputs]

    @property
    def statuses(self) -> list[tuple[str, str]]:
        return [(event.order_id, event.status.value) for event in self.events]

    @property
    def released(self) -> list[tuple[str, int, str]]:
        return [(release.order_id, release.quantity, release.reason.value) for release in self.releases]

    @property
    def fills(self) -> list[tuple[str, str, int, int]]:
        """Taker, maker, price and quantity of each trade."""
        return [
            (trade.order_id, trade.contra_order_id, trade.price, trade.quantity)
            for trade in self.trades
            if trade.liquidity == "TAKER"
        ]


class Exchange:
    """The matching stage over an empty state; orders are named `0-<offset>` as they are sent."""

    def __init__(self, state: State | None = None) -> None:
        self.state = State.in_memory() if state is None else state
        self.sent = 0

    def send(self, message: BookMessage) -> Heard:
        topic = Topic.RISK_APPROVED
        if isinstance(message, Announcement):
            topic = Topic.ANNOUNCEMENTS
            # Validation sees an announcement before matching does, and keeps what matching reads.
            reference.learn(self.state, message, message.event_id, message.event_time_ns)
        cause = message.event_id
        return Heard(matching.handle(self.state, topic, cause, message, message.event_time_ns))

    def order(self, action: OrderAction, account: str, **fields: object) -> ApprovedOrder:
        """Return the next message as risk would let it through."""
        number = self.sent
        self.sent += 1
        usual: dict[str, object] = {
            "event_id": f"orders/0/{number}/v0/r0",
            "order_id": f"0-{number}",
            "client_order_id": f"C{number}",
            "symbol": SYMBOL,
            "event_time_ns": TimeNs(1_558_594_800 * 10**9 + number),
            "market": MARKET,
            "maker_fee_bps": 10,
            "taker_fee_bps": 25,
            "business_date": DAY,
        }
        return ApprovedOrder(action=action, account_id=account, **(usual | fields))  # type: ignore[arg-type]

    def new(self, account: str, side: Side, quantity: int, price: int, /, **fields: object) -> Heard:
        fields = {"side": side, "quantity": Quantity(quantity), "price": price} | fields
        return self.send(self.order(OrderAction.NEW, account, **fields))

    def buy(self, account: str, quantity: int, price: int, /, **fields: object) -> Heard:
        return self.new(account, Side.BUY, quantity, price, **fields)

    def sell(self, account: str, quantity: int, price: int, /, **fields: object) -> Heard:
        return self.new(account, Side.SELL, quantity, price, **fields)

    def cancel(self, account: str, target: str | None, **fields: object) -> Heard:
        return self.send(self.order(OrderAction.CANCEL, account, target_order_id=target, **fields))

    def replace(
        self, account: str, target: str | None, quantity: int, price: int | None = None, /, **fields: object
    ) -> Heard:
        fields = {"target_order_id": target, "quantity": quantity, "price": price, "side": Side.BUY} | fields
        return self.send(self.order(OrderAction.REPLACE, account, **fields))

    def mass_cancel(self, account: str, **fields: object) -> Heard:
        return self.send(self.order(OrderAction.MASS_CANCEL, account, **fields))

    def session(
        self,
        kind: SessionKind,
        symbol: str | None = None,
        market: str = MARKET,
        time_ns: int = 0,
        **fields: object,
    ) -> Heard:
        """Announce a session event."""
        return self.send(self.announced(kind, symbol, market, time_ns, **fields))

    def announced(
        self,
        kind: SessionKind,
        symbol: str | None = None,
        market: str = MARKET,
        time_ns: int = 0,
        **fields: object,
    ) -> Announcement:
        """Return the announcement of a session event."""
        number = self.sent
        self.sent += 1
        usual: dict[str, object] = {"business_date": DAY, "event_time_ns": TimeNs(time_ns)}
        session = SessionEvent(market, kind, symbol, **(usual | fields))  # type: ignore[arg-type]
        return Announcement(
            f"sessions/0/{number}/a0",
            AnnouncementKind.SESSION,
            session=session,
            event_time_ns=TimeNs(time_ns),
        )

    def tick(self, time_ns: int) -> Heard:
        return self.session(SessionKind.TICK, time_ns=time_ns)

    def publish(self, **fields: object) -> Heard:
        """Announce a version of the instrument."""
        number = self.sent
        self.sent += 1
        instrument = Instrument(SYMBOL, market=MARKET, **fields)  # type: ignore[arg-type]
        return self.send(
            Announcement(f"instruments/0/{number}/a0", AnnouncementKind.INSTRUMENT, instrument=instrument)
        )

    def restart(self) -> None:
        """Forget what can be built again from rows."""
        self.state.order_books.clear()

    def resting(self, order_id: str, symbol: str = SYMBOL) -> RestingOrder | None:
        return self.state.resting_orders.get(f"{symbol}/{order_id}")

    def queue(self, side: Side, symbol: str = SYMBOL) -> list[tuple[int, str, int]]:
        """Price, order id and leaves of everything on a side, in the order in which it would trade."""
        book = self.state.order_books[symbol]
        return [
            (price, order.order_id, order.leaves_quantity)
            for price, _, _ in book.depth(side)
            for order in book.queue(side, price)
        ]
