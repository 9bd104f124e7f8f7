"""Logs for the auditor: what a simulated flow takes in and writes, as entries with their places."""

from collections import Counter
from collections.abc import Iterable, Iterator
from random import Random

from bourse.audit import Auditor, Entry, Report
from bourse.pipeline.simulate import SimEvent, Simulation
from bourse.schemas.records import Order
from tests.account_strategies import FlowWriter, next_event, opening_deposits, reference_data


class Log:
    """A simulation of one partition that keeps every record, as Kafka would have it."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._simulation = Simulation()
        self._offsets: Counter[tuple[str, bool]] = Counter()

    def feed(self, event: SimEvent) -> list[SimEvent]:
        """Take in one input and keep it with all that follows from it; return what follows."""
        self.keep(event, is_input=True)
        outputs = self._simulation.feed(event)
        for output in outputs:
            self.keep(output, is_input=False)
        return outputs

    def keep(self, event: SimEvent, *, is_input: bool) -> None:
        # Inputs of inner topics have offsets of their own here: they come in beside those that the flow writes.
        offset = self._offsets[event.topic, is_input]
        self._offsets[event.topic, is_input] += 1
        key = None if is_input else event.key
        self.entries.append(Entry(str(event.topic), 0, offset, event.timestamp_ms, key, event.record))

    def forget(self, event: SimEvent) -> None:
        """Let the stages forget that a client order id was used."""
        order = event.record
        assert isinstance(order, Order)
        self._simulation.state.client_orders.delete(f"{order.account_id}/{order.client_order_id}")

    def changelog(self) -> list[Entry]:
        """Return the rows of the simulation's tables as a changelog has them."""
        state = self._simulation.state
        rows = [
            (f"{table}/{key}", row)
            for table in ("wallets", "positions", "obligations", "holds", "resting_orders", "waiting_orders")
            for key, row in getattr(state, table).scan("")
        ]
        return [Entry("changelog", 0, offset, 0, key, row) for offset, (key, row) in enumerate(rows)]


def random_log(dice: Random, length: int, *, settled: bool = True) -> list[Entry]:
    """Return the log of a random flow, with every trade settled at its end if asked for."""
    log, writer = Log(), FlowWriter()
    for event in (*reference_data(), *opening_deposits(writer)):
        log.feed(event)
    for _ in range(length):
        log.feed(next_event(writer, dice))
    for event in writer.settle_everything() if settled else ():
        log.feed(event)
    return log.entries


def audit(entries: Iterable[Entry], partitions: int = 1) -> Report:
    auditor = Auditor(partitions)
    for entry in entries:
        auditor.feed(entry)
    return auditor.report()


def failures(report: Report) -> dict[str, str]:
    """Return the first offence of each equation that fails, in words."""
    return {
        str(finding.equation): f"{finding.first.place}: {finding.first.cause}"
        for finding in report.failed
        if finding.first is not None
    }


def by_topic(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Yield the entries topic by topic: the order within each is kept, the order between them is not."""
    return iter(sorted(entries, key=lambda entry: (entry.topic, entry.partition)))
