"""End-to-end latencies: from the moment Kafka has an order to the moment a reader has what came of it.

Decides what counts: both ends are seen from outside of the workers, and the reader takes committed records only.
"""

from array import array
from collections.abc import Iterable
from typing import NamedTuple

from bourse.pipeline.ids import source
from bourse.pipeline.outputs import Topic

MEASURED = {Topic.TRADES: "order to trade", Topic.SETTLEMENTS: "order to settlement"}
PERCENTILES = (50, 90, 99, 100)
_MILLISECOND_NS = 10**6


class Percentiles(NamedTuple):
    """How long one way took, in milliseconds."""

    way: str
    records: int
    values_ms: tuple[float, ...]


class Latencies:
    """Arrivals of trades and settlements, each held against the order that caused it."""

    def __init__(self) -> None:
        self._appended_ms: dict[str, int] = {}
        self._took_ms = {topic: array("d") for topic in MEASURED}
        self._early: list[tuple[Topic, str, int]] = []

    def order(self, position: str, appended_ms: int) -> None:
        """Note when Kafka took the order at a position (its record's own timestamp)."""
        self._appended_ms[position] = appended_ms

    def arrival(self, topic: Topic, event_id: str, arrived_ns: int) -> None:
        """Note when a record of a topic was in the reader's hands; one that no order caused does not count."""
        order = source(event_id)
        if order in self._appended_ms:
            self._note(topic, order, arrived_ns)
        elif order.startswith(f"{Topic.ORDERS}/"):
            # The reader has several topics; a trade may be in its hands before the order is.
            self._early.append((topic, order, arrived_ns))

    def percentiles(self) -> list[Percentiles]:
        """Return the percentiles of each way that has records."""
        for early in self._early:
            self._note(*early)
        self._early.clear()
        return [
            Percentiles(MEASURED[topic], len(took), _percentiles(took))
            for topic, took in self._took_ms.items()
            if took
        ]

    def _note(self, topic: Topic, order: str, arrived_ns: int) -> None:
        if order in self._appended_ms:
            self._took_ms[topic].append(arrived_ns / _MILLISECOND_NS - self._appended_ms[order])


def _percentiles(took: Iterable[float]) -> tuple[float, ...]:
    """Return the nearest ranks: the smallest value that so many percent do not exceed."""
    ordered = sorted(took)
    ranks = (-(-len(ordered) * percentile // 100) for percentile in PERCENTILES)
    return tuple(ordered[rank - 1] for rank in ranks)
