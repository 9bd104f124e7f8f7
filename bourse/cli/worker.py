"""`bourse worker`: one worker in the foreground; start as many as there are cores or machines."""

import fcntl
import gc
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import IO, Annotated, TypeVar

import typer

from bourse.agents.member import member_of
from bourse.cli import calendars
from bourse.cli.errors import CliError
from bourse.pipeline import calendar
from bourse.pipeline.calendar import settlement_date
from bourse.schemas.records import Instrument
from bourse.settings import Settings
from bourse.streaming.producer import taken_over

T = TypeVar("T")


def worker(
    id: Annotated[  # noqa: A002  (the option is called --id)
        str | None,
        typer.Option("--id", help="Name of the worker: unique in its group, the same after a restart."),
    ] = None,
) -> None:
    """Run one worker until it is stopped (SIGTERM or Ctrl-C), which commits and leaves the group."""
    if id is not None:
        os.environ["BOURSE_WORKER_ID"] = id
    # Nothing that is imported is garbage, and looking for some takes a tenth of the start.
    gc.disable()
    settings = Settings.read()
    lock = _lock(settings)
    # The broker takes up to a second to end the transaction of whoever had this name before, which needs nothing of what follows.
    take_over = ahead(partial(taken_over, member_of(settings)))
    # Late: Faust takes a second to import, and reads settings at import time.
    from faust import Worker  # noqa: PLC0415

    from bourse.agents.build import create_app  # noqa: PLC0415

    app = create_app(settings, take_over)
    # Nobody asks what comes of it, so an error has to show by itself.
    threading.Thread(target=load_calendar, args=(settings,), name="calendar", daemon=True).start()
    _write_port(settings, app.conf.web_port)
    try:
        Worker(
            app, loglevel=settings.log_level, quiet=True, redirect_stdouts=False
        ).execute_from_commandline()
    finally:
        # Of markets too that were first traded on meanwhile.
        calendars.save(_calendars(settings))
        lock.close()


def ahead(call: Callable[[], T]) -> Callable[[], T]:
    """Begin a call on a thread of its own, which keeps no process alive; return what waits for it and gives what comes of it."""
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:  # noqa: BLE001  (raised where the outcome is asked for)
            outcome.set_exception(error)

    threading.Thread(target=run, name="ahead", daemon=True).start()
    return outcome.result


def load_calendar(settings: Settings) -> None:
    """Have the calendar of the usual market at hand, while the worker waits for brokers: the library takes most of a second.

    A trade that comes before it is there waits for it, as it would without this.
    """
    try:
        file = _calendars(settings)
        calendars.load(file)
        market = Instrument("").market
        if market not in calendar.known():
            settlement_date(market, calendar.FIRST, 1)
            calendars.save(file)
    finally:
        # It was told to stop looking at the start, and must not stay so.
        calm_collector()


def _calendars(settings: Settings) -> Path:
    return settings.data_dir / "calendars.json"


def calm_collector() -> None:
    """Let the garbage collector look at what is new, seldom: records hold no cycles, and imports live for ever."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 1_000)
    gc.enable()


def _lock(settings: Settings) -> IO[str]:
    folder = settings.state_dir / settings.worker_id
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        problem = f"A worker named {settings.worker_id} runs on this machine already."
        raise CliError(problem, "Give this one another name with --id.") from None
    return lock


def _write_port(settings: Settings, port: int) -> None:
    settings.run_dir.mkdir(parents=True, exist_ok=True)
    (settings.run_dir / f"{settings.worker_id}.port").write_text(f"{port}\n")
