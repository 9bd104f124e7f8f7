"""The tables of `order_states.md`, played through the whole flow."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from bourse.pipeline.outputs import Record, Topic
from bourse.pipeline.simulate import SimEvent, Simulation
from bourse.schemas.records import (
    Account,
    AccountStatus,
    BookUpdate,
    Instrument,
    Order,
    OrderAction,
    OrderEvent,
    OrderStatus,
    Participant,
    SessionEvent,
    SessionKind,
    Side,
    TimeInForce,
    WalletAction,
    WalletCommand,
)
from tests.account_strategies import MONDAY, NINE_O_CLOCK_NS

TABLES = Path(__file__).parent / "order_states.md"
SECOND_NS = 10**9
ON_THE_WAY = {OrderStatus.VALIDATED, OrderStatus.RISK_APPROVED}
PARTICIPANTS = {"ANN": "P", "BEN": "P", "CID": "Q"}

_NEW = re.compile(r"(\w+) (buys|sells) (\w+) (\d+) at (\d+)(?: (IOC|FOK|GTC))?(?: showing (\d+))?")
_REPLACE = re.compile(r"(\w+) replaces (\w+) by (\w+) (\d+) at (\d+)")
_CANCEL = re.compile(r"(\w+) cancels (\w+) by (\w+)")
_PARTICIPANT = re.compile(r"participant (\w+) is (\w+)")
_ACCOUNT = re.compile(r"account (\w+) opens with (\w+)")
_PUBLISH = re.compile(r"publish S (\w+)")


class Scenario(NamedTuple):
    """A table: each line's cells by column."""

    name: str
    lines: list[dict[str, str]]


def scenarios() -> list[Scenario]:
    found = []
    for section in TABLES.read_text().split("\n## ")[1:]:
        name, _, body = section.partition("\n")
        head, _, *rows = (
            [cell.strip() for cell in line.strip("|").split("|")]
            for line in body.splitlines()
            if line.startswith("|")
        )
        found.append(Scenario(name, [dict(zip(head, row, strict=True)) for row in rows]))
    return found


class Market:
    """One instrument, and three accounts with more money and shares than they need."""

    def __init__(self) -> None:
        self.simulation = Simulation()
        self.names: dict[str, str] = {}
        self.feed(Topic.INSTRUMENTS, Instrument("S", price_band_bps=500))
        for account_id, participant_id in PARTICIPANTS.items():
            self.open(account_id, participant_id)

    def feed(self, topic: Topic, record: Record) -> list[Record]:
        return [event.record for event in self.simulation.feed(SimEvent(topic, None, record))]

    def open(self, account_id: str, participant_id: str) -> list[Record]:
        heard = self.feed(Topic.ACCOUNTS, Account(account_id, participant_id=participant_id))
        for asset in ("EUR", "S"):
            deposit = WalletCommand(WalletAction.DEPOSIT, asset, account_id, asset, 1_000_000)
            self.feed(Topic.WALLET_COMMANDS, deposit)
        return heard

    def play(self, time: int, message: str) -> list[Record]:
        time_ns = NINE_O_CLOCK_NS + time * SECOND_NS
        if message in set(SessionKind):
            session = SessionEvent("XMAD", SessionKind(message), None, MONDAY, time_ns)
            return self.feed(Topic.SESSIONS, session)
        if match := _PARTICIPANT.fullmatch(message):
            return self.feed(Topic.PARTICIPANTS, Participant(match[1], AccountStatus(match[2])))
        if match := _ACCOUNT.fullmatch(message):
            return self.open(match[1], match[2])
        if match := _PUBLISH.fullmatch(message):
            flags = {match[1]: True}
            return self.feed(Topic.INSTRUMENTS, Instrument("S", price_band_bps=500, **flags))
        return self.feed(Topic.ORDERS, self._order(message, time_ns))

    def _order(self, message: str, time_ns: int) -> Order:
        if match := _REPLACE.fullmatch(message):
            account_id, target, name, quantity, price = match.groups()
            change = {"quantity": int(quantity), "price": int(price), "sent_time_ns": time_ns}
            return Order(OrderAction.REPLACE, name, account_id, target, **change)  # type: ignore[arg-type]
        if match := _CANCEL.fullmatch(message):
            account_id, target, name = match.groups()
            return Order(OrderAction.CANCEL, name, account_id, target, sent_time_ns=time_ns)
        match = _NEW.fullmatch(message)
        assert match is not None, message
        account_id, verb, name, quantity, price, lasts, shown = match.groups()
        return Order(
            OrderAction.NEW,
            name,
            account_id,
            symbol="S",
            side=Side.BUY if verb == "buys" else Side.SELL,
            quantity=int(quantity),
            price=int(price),
            time_in_force=TimeInForce(lasts or "DAY"),
            display_quantity=None if shown is None else int(shown),
            sent_time_ns=time_ns,
        )

    def answer(self, heard: list[Record]) -> list[dict[str, str]]:
        """Return what was heard as the lines of a table have it, every column of all tables."""
        events = [r for r in heard if isinstance(r, OrderEvent)]
        for event in events:
            self.names.setdefault(event.order_id, event.client_order_id)
        lines = [_cells(event) for event in events if event.status not in ON_THE_WAY] or [{}]
        for update in (r for r in heard if isinstance(r, BookUpdate)):
            lines[0]["phase"] = update.phase.value
            lines[0]["shown"] = ", ".join(
                f"{o.action.value} {self.names[o.order_id]} {o.quantity} at {o.price}" for o in update.orders
            )
        return lines


def _cells(event: OrderEvent) -> dict[str, str]:
    return {
        "order": event.client_order_id,
        "status": event.status.value,
        "quantity": str(event.order_quantity),
        "cum": str(event.cum_quantity),
        "leaves": str(event.leaves_quantity),
        "last": "" if event.last_quantity is None else f"{event.last_quantity} at {event.last_price}",
        "reason": event.reason or "",
    }


@pytest.mark.parametrize("scenario", scenarios(), ids=lambda scenario: scenario.name)
def test_the_flow_does_what_the_table_says(scenario: Scenario) -> None:
    market = Market()
    played: list[dict[str, str]] = []
    for line in scenario.lines:
        if line["message"]:
            heard = market.play(int(line["time"]), line["message"])
            asked = {"time": line["time"], "message": line["message"]}
            first, *others = market.answer(heard)
            played += [asked | first, *others]
    columns = scenario.lines[0].keys()
    assert [{column: line.get(column, "") for column in columns} for line in played] == scenario.lines


def test_there_is_a_table_for_each_of_the_features_that_it_speaks_of() -> None:
    assert [scenario.name.partition(":")[0] for scenario in scenarios()] == [
        *(f"V{number}" for number in range(1, 8)),
        "K1",
        "O1",
    ]
