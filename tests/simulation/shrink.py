"""Make a failing case shorter: leave out decisions and inputs, in ever smaller pieces, as long as the same is found.

What is found has to stay of its kind: without its instruments, say, a day has other faults, which are its own.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TypeVar

from tests.simulation.oracle import AUDITOR_SAYS
from tests.simulation.run import Case, run_case

T = TypeVar("T")


def shrink(case: Case, most_runs: int = 1_500) -> Case:
    """Return a case that still finds the same, of which no piece can be left out, as far as that many runs tell."""
    runs = iter(range(most_runs))
    kind = _kind(run_case(case).found)

    def fails(inputs: Sequence[int], decisions: Iterable[tuple[int, int]]) -> bool:
        if next(runs, None) is None:
            return False
        return _kind(run_case(Case(case.seed, inputs, dict(decisions))).found) == kind

    inputs, decisions = list(case.inputs), list(case.decisions.items())
    before = None
    while before != (inputs, decisions):
        before = inputs, decisions
        inputs = _without(inputs, partial(fails, decisions=decisions))
        decisions = _without(decisions, partial(fails, inputs))
    return Case(case.seed, inputs, dict(decisions))


def _kind(found: str | None) -> str | None:
    """Return the part of a finding that does not depend on numbers: an equation, an error's type, or a sentence's start."""
    if found is None:
        return None
    lines = found.strip().splitlines()
    line = lines[1] if lines[0] == AUDITOR_SAYS else lines[-1]
    return re.sub(r"\d+", "", line.partition(":")[0])


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
