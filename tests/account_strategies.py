"""Records, random flows and a scheduler for tests of the account side: everything a test is given comes from here."""

import datetime as dt
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from random import Random

from bourse.audit import Entry
from bourse.pipeline.envelope import cause_of, time_of
from bourse.pipeline.errors import NotOurs
from bourse.pipeline.flow import TOPICS, Read, Stage, hops, stages
from bourse.pipeline.outputs import Record, Topic
from bourse.pipeline.purge import KEPT
from bourse.pipeline.simulate import SimEvent
from bourse.pipeline.state import State
from bourse.schemas.records import (
    Account,
    Announcement,
    AnnouncementKind,
    Instrument,
    Order,
    OrderAction,
    SessionEvent,
    SessionKind,
    Side,
    TimeInForce,
    WalletAction,
    WalletCommand,
)

MONDAY = dt.date(2024, 1, 8)
NINE_O_CLOCK_NS = 1_704_704_400 * 10**9
"""2024-01-08T09:00:00Z."""

ACCOUNTS = ("ANN", "BEN", "CID")
# Markets that exchange-calendars does not have, so that Monday to Friday are its sessions; fees that do not divide evenly.
INSTRUMENTS = (
    Instrument(
        "AAA", market="XONE", maker_fee_bps=7, taker_fee_bps=13, settlement_days=1, reference_price=300
    ),
    Instrument("BBB", market="XTWO", lot_size=5, tick_size=10, settlement_days=2, currency="USD"),
    Instrument("CCC", market="XONE", maker_fee_bps=250, taker_fee_bps=0, settlement_days=0),
)
SYMBOLS = tuple(instrument.symbol for instrument in INSTRUMENTS)
ASSETS = ("EUR", "USD", *SYMBOLS)


def new_order(
    client_order_id: str = "c1",
    side: Side | None = Side.BUY,
    quantity: int = 10,
    price: int | None = 300,
    account_id: str = "ANN",
    symbol: str | None = "AAA",
    **others: object,
) -> Order:
    """Return a new order that validation accepts, but for what a test says otherwise."""
    fields = {"sent_time_ns": NINE_O_CLOCK_NS, **others}
    return Order(
        OrderAction.NEW,
        client_order_id,
        account_id,
        symbol=symbol,
        side=side,
        quantity=quantity,
        price=price,
        **fields,
    )


def request(
    action: OrderAction,
    client_order_id: str = "c2",
    target: str | None = "c1",
    account_id: str = "ANN",
    **others: object,
) -> Order:
    """Return a cancel, replace or mass cancel."""
    fields = {"sent_time_ns": NINE_O_CLOCK_NS, **others}
    return Order(action, client_order_id, account_id, target_client_order_id=target, **fields)


def command(
    action: WalletAction = WalletAction.DEPOSIT,
    asset: str = "EUR",
    amount: int = 1_000,
    request_id: str = "w1",
    account_id: str = "ANN",
) -> WalletCommand:
    """Return a deposit or withdrawal."""
    return WalletCommand(action, request_id, account_id, asset, amount, NINE_O_CLOCK_NS)


def session(
    kind: SessionKind, date: dt.date = MONDAY, market: str = "XONE", symbol: str | None = None
) -> SessionEvent:
    """Return a session event."""
    return SessionEvent(market, kind, symbol, date, NINE_O_CLOCK_NS)


def reference_data() -> Iterator[SimEvent]:
    """Yield the instruments and accounts of random flows."""
    for instrument in INSTRUMENTS:
        yield SimEvent(Topic.INSTRUMENTS, None, instrument)
    for account_id in ACCOUNTS:
        yield SimEvent(Topic.ACCOUNTS, None, Account(account_id))


def ready_state(*instruments: Instrument) -> State:
    """Return the state of a partition that knows the accounts and instruments."""
    state = State.in_memory()
    for account_id in ACCOUNTS:
        state.accounts.put(account_id, Account(account_id, participant_id="BROKER"))
    for instrument in instruments or INSTRUMENTS:
        state.instruments.put(instrument.symbol, instrument)
    return state


def announced(*, instrument: Instrument | None = None, session: SessionEvent | None = None) -> Announcement:
    """Return the announcement of an instrument or session event."""
    kind = AnnouncementKind.SESSION if session else AnnouncementKind.INSTRUMENT
    return Announcement("sessions/0/7/a0", kind, instrument, None, session, NINE_O_CLOCK_NS)


class FlowWriter:
    """Writes the next input of a random flow; knows which client order ids were used, so that requests mean something."""

    def __init__(self) -> None:
        self.number = 0
        self.date = MONDAY
        self.used: dict[str, list[str]] = defaultdict(list)
        self.sent: list[SimEvent] = []

    def _fresh(self) -> str:
        self.number += 1
        return f"c{self.number}"

    def _send(self, topic: Topic, record: Record) -> SimEvent:
        event = SimEvent(topic, None, record)
        self.sent.append(event)
        return event

    def _target(self, account_id: str, back: int) -> str:
        used = self.used[account_id]
        return used[-1 - back % len(used)] if used else "none"

    def deposit(self, account_id: str, asset: str, amount: int) -> SimEvent:
        return self._send(
            Topic.WALLET_COMMANDS, command(WalletAction.DEPOSIT, asset, amount, self._fresh(), account_id)
        )

    def withdraw(self, account_id: str, asset: str, amount: int) -> SimEvent:
        return self._send(
            Topic.WALLET_COMMANDS, command(WalletAction.WITHDRAW, asset, amount, self._fresh(), account_id)
        )

    def new(
        self, account_id: str, symbol: str, side: Side, quantity: int, price: int, time_in_force: TimeInForce
    ) -> SimEvent:
        order = new_order(
            self._fresh(), side, quantity, price, account_id, symbol, time_in_force=time_in_force
        )
        self.used[account_id].append(order.client_order_id)
        return self._send(Topic.ORDERS, order)

    def cancel(self, account_id: str, back: int) -> SimEvent:
        target = self._target(account_id, back)
        return self._send(Topic.ORDERS, request(OrderAction.CANCEL, self._fresh(), target, account_id))

    def replace(self, account_id: str, back: int, quantity: int, price: int | None) -> SimEvent:
        target = self._target(account_id, back)
        order = request(
            OrderAction.REPLACE, self._fresh(), target, account_id, quantity=quantity, price=price
        )
        self.used[account_id].append(order.client_order_id)
        return self._send(Topic.ORDERS, order)

    def mass_cancel(self, account_id: str, symbol: str | None) -> SimEvent:
        order = request(OrderAction.MASS_CANCEL, self._fresh(), None, account_id, symbol=symbol)
        return self._send(Topic.ORDERS, order)

    def again(self, back: int) -> SimEvent:
        """Send an order or wallet command once more, as a client does that heard nothing."""
        repeatable = [event for event in self.sent if event.topic in {Topic.ORDERS, Topic.WALLET_COMMANDS}]
        return repeatable[-1 - back % len(repeatable)]

    def session(self, market: str, kind: SessionKind, days: int, symbol: str | None) -> SimEvent:
        # No later than ids are remembered, so that any message may be repeated.
        self.date = min(self.date + dt.timedelta(days=days), MONDAY + KEPT)
        return self._send(Topic.SESSIONS, session(kind, self.date, market, symbol))

    def settle_everything(self) -> Iterator[SimEvent]:
        """Open every market and let the clock tick past every settlement date."""
        self.date += dt.timedelta(days=10)
        for market in ("XONE", "XTWO"):
            yield self._send(Topic.SESSIONS, session(SessionKind.TICK, self.date, market))

    def close_everything(self) -> Iterator[SimEvent]:
        """Close every market, so that nothing trades any more."""
        for market in ("XONE", "XTWO"):
            yield self._send(Topic.SESSIONS, session(SessionKind.CLOSED, self.date, market))


_TIMES_IN_FORCE = (TimeInForce.GTC, TimeInForce.GTC, TimeInForce.DAY, TimeInForce.IOC)
_KINDS = "nnnnnnnnnrrrrrrrccmtdwas"
_SESSIONS = (
    SessionKind.TICK,
    SessionKind.OPEN,
    SessionKind.OPEN,
    SessionKind.CLOSED,
    SessionKind.HALT,
    SessionKind.RESUME,
    SessionKind.RESUME,
)


def next_event(writer: FlowWriter, dice: Random) -> SimEvent:
    """Write the next input of a flow; trading is what happens most."""
    account_id, symbol = dice.choice(ACCOUNTS), dice.choice(SYMBOLS)
    market, back = dice.choice(["XONE", "XTWO"]), dice.randint(0, 3)
    quantity, price = dice.randint(0, 8) * 5, dice.randint(29, 32) * 10
    match dice.choice(_KINDS):
        case "n":
            side, lasts = dice.choice(list(Side)), dice.choice(_TIMES_IN_FORCE)
            event = writer.new(account_id, symbol, side, quantity, price, lasts)
        case "r":
            event = writer.replace(account_id, back, quantity, dice.choice([None, price, price]))
        case "c":
            event = writer.cancel(account_id, back)
        case "m":
            event = writer.mass_cancel(account_id, dice.choice([None, symbol]))
        case "t":
            event = writer.session(market, SessionKind.TICK, dice.randint(0, 4), None)
        case "d":
            event = writer.deposit(account_id, dice.choice(ASSETS), dice.randint(-1, 20_000))
        case "w":
            event = writer.withdraw(account_id, dice.choice(ASSETS), dice.randint(-1, 2_000))
        case "a":
            event = writer.again(back)
        case _:
            event = writer.session(market, dice.choice(_SESSIONS), 0, dice.choice([None, None, symbol]))
    return event


def opening_deposits(writer: FlowWriter) -> Iterator[SimEvent]:
    """Give everybody enough to trade with, and little enough to run out of it."""
    for account_id in ACCOUNTS:
        for asset in ASSETS:
            yield writer.deposit(account_id, asset, 12_000 if asset in {"EUR", "USD"} else 60)


Stream = tuple[Topic, int, int]
"""Records of a topic from one partition to another: the order within is kept, the order between is not."""


class Workers:
    """The flow over several partitions, where each stream between them is delivered at its own pace.

    With `hand_over`, hops that keep their key are worked off at once, as a worker does inside one transaction; without,
    they wait like all others. An announcement reaches all stages of a partition at once, as a worker reads it.
    """

    def __init__(self, partitions: int, pace: Random, *, hand_over: bool) -> None:
        self._partitions = partitions
        self._pace = pace
        self._stages = stages(partitions)
        self.states = [State.in_memory() for _ in range(partitions)]
        self._streams: dict[Stream, deque[tuple[Record, str, str | None]]] = defaultdict(deque)
        self._handed_over = {(hop.topic, hop.reader) for hop in hops() if hop.handed_over and hand_over}
        self._offsets: Counter[tuple[Topic, int]] = Counter()
        self.sent: list[SimEvent] = []
        self.log: list[Entry] = []
        """Every record, sent or written, with its place."""

    def send(self, event: SimEvent) -> None:
        """Take in one record from outside, which waits for its turn."""
        self.sent.append(event)
        key = _key(event.topic, event.record)
        partition = self._partition(key)
        offset = self._append(event.topic, partition, key, event.record)
        cause = cause_of(event.record, event.topic, partition, offset)
        self._streams[event.topic, -1, partition].append((event.record, cause, None))

    def _append(self, topic: Topic, partition: int, key: str, record: Record) -> int:
        """Append a record to the log, and return its offset."""
        offset = self._offsets[topic, partition]
        self._offsets[topic, partition] += 1
        self.log.append(Entry(str(topic), partition, offset, 0, key, record))
        return offset

    def step(self) -> bool:
        """Deliver the next record of one stream, whichever; return whether there was one."""
        waiting = [stream for stream, records in self._streams.items() if records]
        if not waiting:
            return False
        stream = self._pace.choice(waiting)
        record, cause, writer = self._streams[stream].popleft()
        if writer is not None:
            # Which of several writers comes first in a partition is only decided now.
            self._append(stream[0], stream[2], _key(stream[0], record), record)
        self._deliver(stream, record, cause, writer)
        return True

    def rest(self) -> None:
        """Deliver everything."""
        while self.step():
            pass

    def _partition(self, key: str) -> int:
        return sum(key.encode()) % self._partitions

    def _deliver(self, stream: Stream, record: Record, cause: str, writer: str | None) -> None:
        topic, _, partition = stream
        for stage in self._stages:
            for read in stage.reads:
                if read.topic is topic and _concerns(read, record, writer):
                    self._handle(stage, topic, partition, record, cause)

    def _handle(self, stage: Stage, topic: Topic, partition: int, record: Record, cause: str) -> None:
        state = self.states[partition]
        try:
            outputs = stage.handle(state, topic, cause, record, time_of(record, 0))
        except NotOurs:
            return  # A dead letter, which nobody reads here.
        inner: list[tuple[Stream, Record, str]] = []
        for output_topic, key, output, named in outputs:
            stream = (output_topic, partition, self._partition(key) if named < 0 else named)
            if not self._waits(output_topic):
                self._append(output_topic, stream[2], key, output)
            inner.append((stream, output, cause_of(output, "", 0, 0)))
        for stream, output, output_cause in inner:
            if self._waits(stream[0]):
                self._streams[stream].append((output, output_cause, stage.name))
            elif any(topic == stream[0] for topic, _ in self._handed_over):
                self._deliver(stream, output, output_cause, stage.name)

    def _waits(self, topic: Topic) -> bool:
        is_read = any(read.topic is topic for reader in self._stages for read in reader.reads)
        return is_read and not any(handed_over == topic for handed_over, _ in self._handed_over)


def _key(topic: Topic, record: Record) -> str:
    """Return a record's key; what concerns everybody may have any."""
    return str(getattr(record, TOPICS[topic].key_field or "", ""))


def _concerns(read: Read, record: Record, writer: str | None) -> bool:
    from_it = writer is None or read.from_stage in {None, writer}
    return from_it and (read.concerns is None or read.concerns(record))
