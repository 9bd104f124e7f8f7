"""The register of faults, and what the families share."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final

from tests.faults.world import Going, World

Act = Callable[[World, Random], Going]


class Place(StrEnum):
    """Where a kind of fault may stand in a schedule."""

    ANYWHERE = "anywhere"
    LONG = "long"
    """Beside others, but only now and then, since it takes its time."""
    REPLICATED = "replicated"
    """Where there are three brokers."""
    ALONE = "alone"
    """It bears no other beside it."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of fault: its name, how it goes, what it needs for itself alone ("" for nothing), and where it may stand."""

    name: str
    act: Act
    uses: str
    place: Place


FAULTS: Final[dict[str, Fault]] = {}
"""Every kind by its name, in order of declaration."""


def fault(*, uses: str = "", place: Place = Place.ANYWHERE) -> Callable[[Act], Act]:
    """Register a function as a kind of fault, under its name."""

    def register(act: Act) -> Act:
        name = act.__name__.replace("_", "-")
        FAULTS[name] = Fault(name, act, uses, place)
        return act

    return register


def kinds(place: Place) -> list[str]:
    """Return the names of the kinds that may stand there."""
    return [name for name, kind in FAULTS.items() if kind.place is place]
