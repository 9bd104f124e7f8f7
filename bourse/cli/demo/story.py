"""Everything the demonstration makes of the topics: the summary, the checks and the latencies, fed in one pass."""

from collections.abc import Mapping
from typing import Final

from bourse.cli.demo.checks import Check, Checks
from bourse.cli.demo.follower import Arrival
from bourse.cli.demo.known_day import BooksEmpty, NoDeadLetters, NothingReserved, RealCancels, RealTrades
from bourse.cli.demo.latency import MEASURED, Latencies
from bourse.cli.demo.summary import Summary
from bourse.cli.trading_day import KNOWN_TRUTH, cancelled_quantities
from bourse.pipeline.outputs import Topic

MEASURED_TOPICS: Final = frozenset((Topic.ORDERS, *MEASURED))
OTHER_TOPICS: Final = (
    frozenset(
        (
            Topic.ORDER_EVENTS,
            Topic.RELEASES,
            Topic.WALLET_TRANSACTIONS,
            Topic.POSITIONS,
            Topic.TAPE,
            Topic.BOOK_UPDATES,
            Topic.DEAD_LETTERS,
        )
    )
    - MEASURED_TOPICS
)


def all_checks(stated_cancels: Mapping[str, int]) -> list[Check]:
    """Return every check, in the order in which they are told."""
    return [
        RealTrades(KNOWN_TRUTH),
        RealCancels(stated_cancels),
        BooksEmpty(),
        NoDeadLetters(),
        NothingReserved(),
    ]


class Story:
    """What the reader has seen so far; topics may come one after the other, their partitions side by side."""

    def __init__(self) -> None:
        self.summary = Summary()
        self.checks = Checks(all_checks(cancelled_quantities()))
        self.latencies = Latencies()

    def see(self, arrival: Arrival) -> None:
        """Take in one record."""
        topic, record = arrival.topic, arrival.record
        if topic is Topic.ORDERS:
            self.latencies.order(arrival.position, arrival.timestamp_ms)
        elif topic in MEASURED:
            event_id: str = getattr(record, "event_id", "")
            self.latencies.arrival(topic, event_id, arrival.arrived_ns)
        self.summary.see(record)
        self.checks.see(topic, record)
