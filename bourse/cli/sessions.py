"""`bourse sessions`: the session clock, which takes markets through their days, and the operators' halts.

The clock publishes what `pipeline/timetable.py` says, each event when its time has come by the clock that it is given: the
real one, or one that runs faster from any moment on. So the same start gives the same events. Decides nothing about phases.
"""

import datetime as dt
import sys
import time
from collections.abc import Iterator
from heapq import merge
from operator import attrgetter
from typing import Annotated

import typer

from bourse.cli.console import out, warn
from bourse.cli.sender import Sender
from bourse.pipeline.calendar import LAST, tells_of, utc_date
from bourse.pipeline.outputs import Topic
from bourse.pipeline.timetable import timetable
from bourse.schemas.jsonform import event_line
from bourse.schemas.records import SessionEvent, SessionKind
from bourse.schemas.units import TimeNs

app = typer.Typer(help="The session clock of markets, and halts.", no_args_is_help=True)

LOOK_BACK = dt.timedelta(days=14)
"""No exchange is closed for longer: the last phase before now is among these days."""

Market = Annotated[str, typer.Argument(help="Market (MIC, ISO 10383).", metavar="MARKET")]
Symbol = Annotated[str | None, typer.Option(help="One instrument alone.")]
TickSeconds = Annotated[
    int, typer.Option("--ticks", min=0, metavar="SECONDS", help="A tick so often; 0 for none.")
]


@app.callback()
def sessions() -> None:
    """Take markets through their days, and halt them."""


class Clock:
    """A clock that starts at a time and runs so many times as fast as the real one."""

    def __init__(self, start_ns: int, speed: float) -> None:
        """Start now."""
        self._start_ns = start_ns
        self._speed = speed
        self._began_ns = time.monotonic_ns()

    def now_ns(self) -> TimeNs:
        """Return the time that it shows."""
        return TimeNs(self._start_ns + int((time.monotonic_ns() - self._began_ns) * self._speed))

    def wait_until(self, time_ns: int) -> None:
        """Return when it shows that time."""
        while (left_ns := time_ns - self.now_ns()) > 0:
            time.sleep(min(1.0, left_ns / self._speed / 1e9))


@app.command()
def plan(
    market: Market,
    first: Annotated[dt.datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day.")],
    last: Annotated[dt.datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day.")],
    tick_seconds: TickSeconds = 0,
) -> None:
    """Print the session events of a market's days as an event file."""
    for event in _with_warnings(timetable(market, first.date(), last.date(), tick_seconds)):
        sys.stdout.buffer.write(event_line(Topic.SESSIONS, market, event))
    sys.stdout.buffer.flush()


@app.command()
def run(
    markets: Annotated[list[str], typer.Argument(help="Markets (MIC, ISO 10383).", metavar="MARKET...")],
    tick_seconds: TickSeconds = 1,
    speed: Annotated[float, typer.Option(min=0.001, help="How many times as fast as the real time.")] = 1.0,
    start: Annotated[
        dt.datetime | None,
        typer.Option("--from", formats=["%Y-%m-%dT%H:%M:%S"], help="Begin at this time (UTC), not now."),
    ] = None,
    until: Annotated[
        dt.datetime | None, typer.Option(formats=["%Y-%m-%d"], help="End after this day, not never.")
    ] = None,
) -> None:
    """Publish session events as their times come: first the last close and the phase of each market; Ctrl-C ends it."""
    sender = Sender(Topic.SESSIONS)
    start_ns = time.time_ns() if start is None else int(start.replace(tzinfo=dt.UTC).timestamp()) * 10**9
    clock = Clock(start_ns, speed)
    try:
        last = LAST if until is None else until.date()
        for event in _with_warnings(due_events(markets, clock, last, tick_seconds)):
            sender.send(event)
            if event.kind is not SessionKind.TICK:
                moment = dt.datetime.fromtimestamp(event.event_time_ns // 10**9, dt.UTC)
                out.print(f"{moment:%Y-%m-%d %H:%M:%S} UTC  {event.market}  {event.kind}")
    except KeyboardInterrupt:
        pass


def due_events(markets: list[str], clock: Clock, last: dt.date, tick_seconds: int) -> Iterator[SessionEvent]:
    """Yield the last close of each market and the phase that it is in, and then every event when the clock shows its time.

    Where no clock ran over that close, it ends what ends with its day; a market that has followed it takes no notice.
    """
    now_ns = clock.now_ns()
    today = utc_date(now_ns)
    for market in markets:
        begun = _begun(market, now_ns, last)
        yield from [event for event in begun if event.kind is SessionKind.CLOSED][-1:]
        yield from [event for event in begun[-1:] if event.kind is not SessionKind.CLOSED]
    days = (timetable(market, today - dt.timedelta(1), last, tick_seconds) for market in markets)
    for event in merge(*days, key=attrgetter("event_time_ns")):
        if event.event_time_ns > now_ns:
            clock.wait_until(event.event_time_ns)
            yield event


def _begun(market: str, now_ns: int, last: dt.date = LAST) -> list[SessionEvent]:
    """Return the phases that a market has begun before now, lately: the last of them is the one that it is in.

    East of Greenwich a session may begin on the day before its business date.
    """
    today = utc_date(TimeNs(now_ns))
    days = timetable(market, today - LOOK_BACK, min(today + dt.timedelta(1), last))
    return [event for event in days if event.event_time_ns <= now_ns]


def _with_warnings(events: Iterator[SessionEvent]) -> Iterator[SessionEvent]:
    """Pass on events, and warn once of each market whose hours are no exchange's any more."""
    warned: set[str] = set()
    for event in events:
        if event.market not in warned and not tells_of(event.market, event.business_date):
            warned.add(event.market)
            warn(
                f"No calendar tells of {event.market} on {event.business_date}:"
                " it trades Monday to Friday at its regular hours, holidays included."
            )
        yield event


@app.command()
def halt(
    market: Market,
    symbol: Symbol = None,
    level: Annotated[
        int | None, typer.Option(min=1, max=3, help="Level of the market's circuit breaker.")
    ] = None,
) -> None:
    """Halt a market or one instrument: until it is resumed, or as long as the level of the circuit breaker says."""
    _operate(market, SessionKind.HALT, symbol, level)


@app.command()
def resume(market: Market, symbol: Symbol = None) -> None:
    """End a halt."""
    _operate(market, SessionKind.RESUME, symbol, None)


def _operate(market: str, kind: SessionKind, symbol: str | None, level: int | None) -> None:
    now_ns = TimeNs(time.time_ns())
    begun = _begun(market, now_ns)
    date = begun[-1].business_date if begun else utc_date(now_ns)
    Sender(Topic.SESSIONS).send(SessionEvent(market, kind, symbol, date, now_ns, level))
    out.print(f"Published {kind} of {market if symbol is None else f'{symbol} on {market}'}.")
