"""Whatever clients send, in whatever order it arrives: money and shares are conserved, and everything adds up.

Each flow comes from dice: those of Hypothesis, which finds the smallest flow that fails, and seeded ones, which are a
lot faster and so throw more and longer flows. What adding up means, the auditor decides.
"""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from bourse.audit import Auditor
from bourse.pipeline.simulate import SimEvent, Simulation
from tests.account_strategies import FlowWriter, Workers, next_event, opening_deposits, reference_data
from tests.audit.logs import Log, failures

small_flows = st.tuples(st.randoms(use_true_random=False), st.integers(1, 15))
long_flows = st.tuples(st.integers(0, 2**32).map(Random), st.integers(20, 200))
flows = small_flows | long_flows | long_flows


class AuditedSimulation:
    """The flow in memory, audited after each input."""

    def __init__(self) -> None:
        self.log = Log()
        self.writer = FlowWriter()
        self.auditor = Auditor()
        for event in (*reference_data(), *opening_deposits(self.writer)):
            self.feed(event)

    def feed(self, event: SimEvent) -> list[SimEvent]:
        read = len(self.log.entries)
        outputs = self.log.feed(event)
        for entry in self.log.entries[read:]:
            self.auditor.feed(entry)
        assert failures(self.auditor.report()) == {}
        return outputs


@given(flows)
def test_after_each_input_everything_adds_up(flow: tuple[Random, int]) -> None:
    dice, length = flow
    market = AuditedSimulation()
    for _ in range(length):
        market.feed(next_event(market.writer, dice))
    for event in market.writer.settle_everything():
        market.feed(event)
    assert not market.auditor.owes()


@given(flows)
def test_a_repeat_is_answered_and_does_nothing(flow: tuple[Random, int]) -> None:
    dice, length = flow
    market = AuditedSimulation()
    for _ in range(length):
        market.feed(next_event(market.writer, dice))
        outputs = market.feed(market.writer.again(dice.randint(0, 5)))
        assert [output.record.reason for output in outputs] == ["RETRY"], "A18"


@given(
    flow=flows,
    partitions=st.integers(1, 3),
    hand_over=st.booleans(),
    haste=st.sampled_from([0, 1, 2, 4, 8, 20]),
)
def test_any_interleaving_of_partitions_and_topics_adds_up(
    *, flow: tuple[Random, int], partitions: int, hand_over: bool, haste: int
) -> None:
    dice, length = flow
    writer = FlowWriter()
    workers = Workers(partitions, dice, hand_over=hand_over)
    for events in (reference_data(), opening_deposits(writer)):
        for event in events:
            workers.send(event)
        workers.rest()  # A deposit of shares is one once their instrument is known.
    for _ in range(length):
        workers.send(next_event(writer, dice))
        for _ in range(dice.randint(0, haste)):
            workers.step()
    workers.rest()
    auditor = Auditor(partitions)
    for entry in workers.log:
        auditor.feed(entry)
    assert failures(auditor.report()) == {}
    seen = len(workers.log)
    for event in writer.settle_everything():
        workers.send(event)
    workers.rest()
    for entry in workers.log[seen:]:
        auditor.feed(entry)
    assert failures(auditor.report()) == {}
    assert not auditor.owes()


@given(flows)
def test_what_is_due_is_the_same_after_a_restart(flow: tuple[Random, int]) -> None:
    dice, length = flow
    writer = FlowWriter()
    events = [*reference_data(), *opening_deposits(writer)]
    events.extend(next_event(writer, dice) for _ in range(length))
    events.extend(writer.settle_everything())
    kept, restarted = Simulation(), Simulation()
    for event in events:
        # What is derived from tables is not there after a restart.
        restarted.state.due_holdings = None
        restarted.state.exposures.clear()
        assert restarted.feed(event) == kept.feed(event)
