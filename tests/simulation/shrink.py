"""Make a failing case shorter: leave out decisions and inputs, in ever smaller pieces, as long as something is found.

What is found may change on the way; the shortest case that finds anything is the one to look at first.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TypeVar

from tests.simulation.run import Case, run_case

T = TypeVar("T")


def shrink(case: Case, most_runs: int = 1_500) -> Case:
    """Return a case that still finds something, of which no piece can be left out, as far as that many runs tell."""
    runs = iter(range(most_runs))

    def fails(inputs: Sequence[int], decisions: Iterable[tuple[int, int]]) -> bool:
        return (
            next(runs, None) is not None
            and run_case(Case(case.seed, inputs, dict(decisions))).found is not None
        )

    inputs, decisions = list(case.inputs), list(case.decisions.items())
    before = None
    while before != (inputs, decisions):
        before = inputs, decisions
        inputs = _without(inputs, partial(fails, decisions=decisions))
        decisions = _without(decisions, partial(fails, inputs))
    return Case(case.seed, inputs, dict(decisions))


def _without(items: Sequence[T], fails: Callable[[list[T]], bool]) -> list[T]:
    """Leave out whatever `fails` does not need."""
    kept = list(items)
    size = len(kept)
    while size:
        start = 0
        while start < len(kept):
            fewer = kept[:start] + kept[start + size :]
            if fails(fewer):
                kept = fewer
            else:
                start += size
        size //= 2
    return kept
