"""`bourse worker`, which looks at set points of its cycle whether it is to be killed, stopped or held up there.

    python -m tests.faults.worker worker --id w0

Nothing of the worker is replaced: the engine is handed its own clients in subclasses, through the seam that it
has for that. An order lies in a file, `<data folder>/points/<worker>`, as `<point> <action> <seconds>`; it is taken away
when it is carried out.
"""

import dataclasses
import faulthandler
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Consumer

from bourse.agents import member
from bourse.cli.main import main
from bourse.settings import Settings
from bourse.streaming.config import Member
from bourse.streaming.outside import KAFKA, ClientSettings
from bourse.streaming.transactions import Transactions

BEGUN: Final = "begun"
"""A transaction has begun, on the event loop; nothing is sent yet."""
WRITTEN: Final = "written"
"""Offsets and an output are written; what else the cycle causes is not."""
PRODUCED: Final = "produced"
"""All is produced; the commit is not asked for yet."""
COMMITTED: Final = "committed"
"""Kafka has committed; RocksDB has heard nothing of it."""
RESTORING: Final = "restoring"
"""In the middle of reading the changelog."""
ASSIGNING: Final = "assigning"
"""Within a rebalance, when partitions were given."""
REVOKING: Final = "revoking"
"""Within a rebalance, when partitions were taken away."""


def order_file(data_dir: Path, worker: str) -> Path:
    """Return where a worker looks for its order."""
    return data_dir / "points" / worker


class Orders:
    """What this worker is told to do."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def wants(self, point: str) -> bool:
        """Return whether there is an order for this point."""
        try:
            return self._file.read_text().startswith(f"{point} ")
        except FileNotFoundError:
            return False

    def at(self, point: str) -> None:
        """Carry out the order for this point, if there is one."""
        if not self.wants(point):
            return
        _, action, seconds = self._file.read_text().split()
        self._file.unlink()
        if action == "stall":
            time.sleep(float(seconds))
        else:
            os.kill(os.getpid(), {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}[action])


def faulty_clients(orders: Orders) -> dict[str, Any]:
    """Return the makers of clients that look for orders."""

    class FaultyProducer(Transactions):
        stops_amid = False

        def begin_transaction(self) -> None:
            super().begin_transaction()
            orders.at(BEGUN)
            self.stops_amid = orders.wants(WRITTEN)

        def produce(self, *what: Any, **more: Any) -> None:
            super().produce(*what, **more)
            if self.stops_amid:
                self.stops_amid = False
                self.flush(1.0)
                orders.at(WRITTEN)

        def commit_transaction(self, *what: Any) -> None:
            orders.at(PRODUCED)
            super().commit_transaction(*what)
            orders.at(COMMITTED)

    class Member(Consumer):
        def assign(self, *what: Any) -> None:
            orders.at(ASSIGNING)
            super().assign(*what)

        def unassign(self) -> None:
            orders.at(REVOKING)
            super().unassign()

    class RestoreReader(Consumer):
        def consume(self, *what: Any) -> list[Any]:
            messages = super().consume(*what)
            if messages:
                orders.at(RESTORING)
            return messages

    def consumer(settings: ClientSettings) -> Consumer:
        return Member(settings) if "group.instance.id" in settings else RestoreReader(settings)

    return {"producer": FaultyProducer, "consumer": consumer}


if __name__ == "__main__":
    faulthandler.register(signal.SIGQUIT, all_threads=True)
    told = Orders(order_file(Settings.read().data_dir, sys.argv[-1]))
    outside = dataclasses.replace(KAFKA, **faulty_clients(told))
    member.Member = partial(Member, outside=outside)  # type: ignore[misc, assignment]
    main()
