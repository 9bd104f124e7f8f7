"""The register of faults, and what the families share."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

from tests.faults.world import Going, World

Act = Callable[[World, Random], Going]


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of fault: its name, how it goes, and what it needs for itself alone ("" for nothing)."""

    name: str
    act: Act
    uses: str
    is_lonely: bool


FAULTS: Final[dict[str, Fault]] = {}
"""Every kind by its name, in order of declaration."""


def fault(*, uses: str = "", lonely: bool = False) -> Callable[[Act], Act]:
    """Register a function as a kind of fault, under its name."""

    def register(act: Act) -> Act:
        name = act.__name__.replace("_", "-")
        FAULTS[name] = Fault(name, act, uses, lonely)
        return act

    return register
