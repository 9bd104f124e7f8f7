"""`bourse sessions` and `bourse accounts`: what operators and the clock publish, through a real Kafka."""

import datetime as dt
import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bourse.cli import sessions
from bourse.cli.sessions import Clock, due_events
from bourse.pipeline.calendar import utc_date
from bourse.pipeline.outputs import Topic
from bourse.pipeline.simulate import SimEvent, Simulation
from bourse.pipeline.timetable import timetable
from bourse.schemas.records import (
    Account,
    DeadLetter,
    Instrument,
    Order,
    OrderAction,
    OrderEvent,
    SessionEvent,
    SessionKind,
    Side,
    WalletAction,
    WalletCommand,
)
from bourse.schemas.units import Price, Quantity

Json = dict[str, Any]
DAY = "2019-05-23"
SECOND_NS = 10**9
MORNING_NS = 1_558_594_600 * SECOND_NS
"""2019-05-23T06:56:40Z, in Madrid's opening auction."""
FAST = 1e6


class SentEvents:
    """Takes the place of a sender: keeps what is sent."""

    def __init__(self, *_: object) -> None:
        self.events: list[SessionEvent] = []

    def send(self, event: SessionEvent) -> None:
        self.events.append(event)


@pytest.fixture
def published(bourse: Callable) -> Callable[[str], list[Json]]:
    def published(topic: str) -> list[Json]:
        ran = bourse("tail", topic, "--from-start", "--until-idle", "0.5", "--json")
        assert ran.code == 0, ran.err
        return [json.loads(line)["value"] for line in ran.out.splitlines()]

    return published


def kinds(events: list[SessionEvent]) -> list[tuple[str, str]]:
    return [(event.market, event.kind) for event in events]


def test_the_clock_begins_with_the_phase_of_each_market_and_goes_on_from_there() -> None:
    date = utc_date(MORNING_NS)
    events = list(due_events(["XMAD", "XONE"], Clock(MORNING_NS, FAST), date, 0))
    assert kinds(events)[:3] == [("XMAD", "CLOSED"), ("XMAD", "OPENING_AUCTION"), ("XONE", "CLOSED")]
    assert events[1].business_date == date
    following = [event for market in ("XMAD", "XONE") for event in timetable(market, date, date)]
    following = [event for event in following if event.event_time_ns > MORNING_NS]
    assert events[3:] == sorted(following, key=lambda event: event.event_time_ns)


def test_the_same_start_gives_the_same_events_however_fast_the_clock_is() -> None:
    date = utc_date(MORNING_NS)
    runs = [list(due_events(["XMAD"], Clock(MORNING_NS, speed), date, 600)) for speed in (FAST, 10 * FAST)]
    assert runs[0] == runs[1]
    assert sum(event.kind is SessionKind.TICK for event in runs[0]) == 50


def test_a_clock_that_was_down_over_the_close_tells_of_it_first_and_does_no_harm_where_it_was_not() -> None:
    # Given a day order of Thursday
    simulation = Simulation()
    date, hour_ns = utc_date(MORNING_NS), 3_600 * SECOND_NS

    def begins(start_ns: int) -> list[tuple[str, str, str]]:
        """Let a clock begin, and tell of the first events and what they make of orders and of the market."""
        events = islice(due_events(["XMAD"], Clock(start_ns, FAST), date + dt.timedelta(1), 0), 2)
        told = []
        for event in events:
            heard = [found.record for found in simulation.feed(SimEvent(Topic.SESSIONS, None, event))]
            assert not any(isinstance(record, DeadLetter) for record in heard)
            expired = [record.client_order_id for record in heard if isinstance(record, OrderEvent)]
            told.append((event.kind.value, str(event.business_date), "".join(expired)))
        return told

    assert begins(MORNING_NS + hour_ns) == [("CLOSED", "2019-05-22", ""), ("OPEN", "2019-05-23", "")]
    deposit = WalletCommand(WalletAction.DEPOSIT, "w", "A", "S", 10)
    order = Order(OrderAction.NEW, "c", "A", symbol="S", side=Side.SELL, quantity=Quantity(5), price=Price(7))
    for topic, record in (
        (Topic.INSTRUMENTS, Instrument("S", market="XMAD")),
        (Topic.ACCOUNTS, Account("A")),
        (Topic.WALLET_COMMANDS, deposit),
        (Topic.ORDERS, order),
    ):
        simulation.feed(SimEvent(topic, None, record))
    # When the clock begins again the same day, the order lives on
    assert begins(MORNING_NS + 2 * hour_ns) == [("CLOSED", "2019-05-22", ""), ("OPEN", "2019-05-23", "")]
    # When it begins again only on Friday morning, the order ends with its day
    assert begins(MORNING_NS + 24 * hour_ns) == [
        ("CLOSED", "2019-05-23", "c"),
        ("OPENING_AUCTION", "2019-05-24", ""),
    ]
    # And Friday's orders stay where the clock begins once more
    simulation.feed(SimEvent(Topic.ORDERS, None, msgspec.structs.replace(order, client_order_id="d")))
    assert begins(MORNING_NS + 24 * hour_ns) == [
        ("CLOSED", "2019-05-23", ""),
        ("OPENING_AUCTION", "2019-05-24", ""),
    ]


def test_the_clock_of_all_markets_runs_on_over_the_end_of_ones_calendar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sent = SentEvents()
    monkeypatch.setattr(sessions, "Sender", lambda _: sent)
    start, until = dt.datetime(2026, 12, 31, 6), dt.datetime(2027, 1, 4)  # noqa: DTZ001 - as the command line gives it
    sessions.run(["XSHG", "XNYS", "XONE"], 0, FAST, start, until)
    days = {(event.market, event.business_date.isoformat()) for event in sent.events}
    assert days == {
        *(("XSHG", f"{day}") for day in ("2026-12-30", "2026-12-31", "2027-01-01", "2027-01-04")),
        *(("XNYS", f"{day}") for day in ("2026-12-30", "2026-12-31", "2027-01-04")),
        *(("XONE", f"{day}") for day in ("2026-12-30", "2026-12-31", "2027-01-01", "2027-01-04")),
    }
    warned = capsys.readouterr().err
    assert warned.count("No calendar tells of") == 2
    assert "No calendar tells of XSHG on 2027-01-01" in warned
    assert "No calendar tells of XONE on 2026-12-30" in warned


def test_the_plan_of_a_day_is_an_event_file(bourse: Callable, tmp_path: Path) -> None:
    ran = bourse("sessions", "plan", "XMAD", "--from", DAY, "--to", DAY)
    assert [json.loads(line)["value"]["kind"] for line in ran.out.splitlines()][-1] == "CLOSED"
    day = tmp_path / "day.jsonl"
    day.write_text(ran.out)
    simulated = bourse("simulate", str(day))
    assert simulated.code == 0, simulated.err
    assert len(simulated.out.splitlines()) >= 5


@pytest.mark.parametrize(
    ("market", "time", "date"),
    [
        # Wellington, Sydney, Chicago's futures and Tokyo begin their sessions on the evening before, by UTC.
        ("XNZE", "2026-03-02T22:30", "2026-03-03"),
        ("XASX", "2026-03-02T23:30", "2026-03-03"),
        ("CMES", "2026-03-02T23:30", "2026-03-03"),
        ("XTKS", "2026-03-02T23:55", "2026-03-03"),
        ("XNZE", "2026-03-03T01:00", "2026-03-03"),
        ("XNYS", "2026-03-02T20:00", "2026-03-02"),
        ("XNYS", "2026-03-08T12:00", "2026-03-06"),  # on a Sunday
    ],
)
def test_a_halt_is_of_the_business_date_that_the_market_is_in(
    monkeypatch: pytest.MonkeyPatch, market: str, time: str, date: str
) -> None:
    sent = SentEvents()
    now_ns = int(dt.datetime.fromisoformat(f"{time}+00:00").timestamp()) * SECOND_NS
    monkeypatch.setattr(sessions, "Sender", lambda _: sent)
    monkeypatch.setattr(sessions.time, "time_ns", lambda: now_ns)
    sessions.halt(market, None, 3)
    (halt,) = sent.events
    assert (halt.kind, halt.level, halt.business_date.isoformat()) == (SessionKind.HALT, 3, date)


@pytest.mark.usefixtures("market")
def test_the_clock_publishes_and_operators_halt_and_resume(bourse: Callable, published: Callable) -> None:
    arguments = ("--from", f"{DAY}T06:00:00", "--until", DAY, "--speed", "1e6", "--ticks", "0")
    ran = bourse("sessions", "run", "XMAD", *arguments)
    assert ran.code == 0, ran.err
    assert bourse("sessions", "halt", "XMAD", "--level", "2").code == 0
    assert bourse("sessions", "halt", "XMAD", "--symbol", "ANA").code == 0
    assert bourse("sessions", "resume", "XMAD", "--symbol", "ANA").code == 0
    events = published("sessions")
    assert [(event["kind"], event["symbol"], event["level"]) for event in events] == [
        ("CLOSED", None, None),
        ("PRE_OPEN", None, None),
        ("OPENING_AUCTION", None, None),
        ("OPEN", None, None),
        ("CLOSING_AUCTION", None, None),
        ("CLOSED", None, None),
        ("HALT", None, 2),
        ("HALT", "ANA", None),
        ("RESUME", "ANA", None),
    ]
    assert [event["business_date"] for event in events[:6]] == ["2019-05-22", *[DAY] * 5]


@pytest.mark.usefixtures("market")
def test_the_kill_switch_stops_all_accounts_of_a_participant(
    bourse: Callable, published: Callable, tmp_path: Path
) -> None:
    accounts = tmp_path / "accounts.jsonl"
    values = [
        {"account_id": "A1", "participant_id": "P", "max_open_orders": 7},
        {"account_id": "A2", "participant_id": "P"},
        {"account_id": "A3", "participant_id": "Q"},
        {"account_id": "A4", "participant_id": "P", "status": "CLOSED"},
    ]
    accounts.write_text("".join(json.dumps({"topic": "accounts", "value": value}) + "\n" for value in values))
    assert bourse("publish", str(accounts), "--no-wait").code == 0

    def statuses() -> dict[str, str]:
        return {value["account_id"]: value["status"] for value in published("accounts")}

    def participants() -> list[tuple[str, str]]:
        return [(value["participant_id"], value["status"]) for value in published("participants")]

    suspended = bourse("accounts", "suspend", "--participant", "P", "--account", "A1", "--account", "A4")
    assert suspended.code == 0
    assert "participant P as SUSPENDED: 3 accounts now, and later ones" in suspended.out
    assert statuses() == {"A1": "SUSPENDED", "A2": "ACTIVE", "A3": "ACTIVE", "A4": "CLOSED"}
    assert participants() == [("P", "SUSPENDED")]
    assert bourse("accounts", "reinstate", "--account", "A1").code == 0
    assert bourse("accounts", "reinstate", "--participant", "P").code == 0
    assert statuses() == {"A1": "ACTIVE", "A2": "ACTIVE", "A3": "ACTIVE", "A4": "CLOSED"}
    assert participants() == [("P", "SUSPENDED"), ("P", "ACTIVE")]
    latest = [value for value in published("accounts") if value["account_id"] == "A1"][-1]
    assert latest["max_open_orders"] == 7
    again = bourse("accounts", "reinstate", "--account", "A4")
    assert again.code == 1
    assert "No account that is meant can become ACTIVE" in again.err
