"""`bourse supervise`: the process that `bourse up` leaves running. Not for people, who use `up`, `down` and `status`."""

import signal
import sys
import time
from contextlib import suppress
from typing import Annotated

import typer

from bourse.cli.console import note
from bourse.cli.errors import CliError
from bourse.cli.local_broker import LocalBroker
from bourse.cli.ports import free_port
from bourse.cli.running import running
from bourse.cli.supervisor import BACKOFF_SECONDS, ChildSpec, Supervisor
from bourse.settings import Settings

LOOK_SECONDS = 0.2


def supervise(workers: Annotated[int, typer.Option(min=1)] = 1) -> None:
    """Keep workers (and the local broker) running until SIGTERM."""
    settings = Settings.read()
    ending: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: ending.append(received))
    supervisor = Supervisor(settings.run_dir, settings.logs_dir, _worker, _say, running(settings))
    supervisor.begin(workers)
    keeper = BrokerKeeper(LocalBroker.of(settings)) if settings.broker_is_local else None
    while not ending:
        if keeper:
            keeper.tick(time.monotonic())
        supervisor.tick(time.monotonic())
        time.sleep(LOOK_SECONDS)
    _say("ending all workers")
    supervisor.end()


class BrokerKeeper:
    """Starts the local broker again when it has died; one that was stopped on purpose stays so."""

    def __init__(self, broker: LocalBroker) -> None:
        """Take the broker to look after."""
        self._broker = broker
        self._failures = 0
        self._due_at = 0.0

    def tick(self, now: float) -> None:
        """Look once."""
        if now < self._due_at or not self._broker.has_died():
            return
        delay = BACKOFF_SECONDS[min(self._failures, len(BACKOFF_SECONDS) - 1)]
        self._failures += 1
        self._due_at = now + delay
        _say("the broker has died and is started again")
        try:
            self._broker.start_again()
        except (CliError, OSError) as error:
            _say(f"the broker could not be started: {error}")


def _worker(number: int) -> ChildSpec:
    name = f"worker-{number}"
    command = [sys.executable, "-m", "bourse.cli.main", "worker", "--id", name]
    return ChildSpec(name, command, {"BOURSE_WORKER_ID": name, "BOURSE_WEB_PORT": str(free_port())})


def _say(text: str) -> None:
    # Its log is on the disk that may be full, and workers are looked after whether or not anybody is told.
    with suppress(OSError):
        note(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {text}")
