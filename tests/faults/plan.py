"""Schedules: what a seed decides, as data, so that a schedule can be written down and run again.

A fault has its place by progress (order messages that the workers have committed), not by the clock.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from bourse.streaming.carry import Carry

ORDERS: Final = 3_000
FAULTS: Final = 5
SOAK_RATE: Final = 100
_FIRST, _LAST = 0.05, 0.8
"""Faults begin within these shares of the orders, so that there is work left for after the last one."""
_STRIDE: Final = 17
"""A step through the list of kinds that brings kinds of different families together."""


@dataclass(frozen=True, slots=True)
class Step:
    """A fault of a kind, from the moment on when `at` order messages are committed; `seed` decides its details."""

    at: int
    kind: str
    seed: int


@dataclass(frozen=True, slots=True)
class Plan:
    """One schedule. `rate` is in orders a second."""

    seed: int
    partitions: int
    workers: int
    brokers: int
    orders: int
    rate: int
    max_records: int
    carry: Carry
    steps: tuple[Step, ...]

    def write(self, file: Path) -> None:
        """Write it down."""
        file.write_bytes(msgspec.json.format(msgspec.json.encode(self)))

    @classmethod
    def read(cls, file: Path) -> "Plan":
        """Read one that was written down."""
        return msgspec.json.decode(file.read_bytes(), type=cls)


@dataclass(frozen=True, slots=True)
class Kinds:
    """The names of all kinds of faults, by where in a schedule they may stand."""

    anywhere: Sequence[str]
    long: Sequence[str]
    replicated: Sequence[str]
    alone: Sequence[str]


def plan_of(seed: int, kinds: Kinds, orders: int = ORDERS, faults: int = FAULTS) -> Plan:
    """Return the seed's schedule; seeds in a row go round all kinds.

    Of ten seeds in a row one has three brokers, one a long fault at its end, one nothing but a fault that bears no other, and one
    carries each order through in one transaction, in its one partition.
    """
    chance = random.Random(seed)
    partitions = chance.choice((2, 2, 3, 4))
    picked = [kinds.anywhere[(seed * faults + n) * _STRIDE % len(kinds.anywhere)] for n in range(faults)]
    places = sorted(chance.uniform(_FIRST, _LAST) for _ in picked)
    workers, brokers, round_ = 2, 1, seed // 10
    match seed % 10:
        case 1:
            partitions = 1
        case 4:
            picked[-1] = kinds.long[round_ % len(kinds.long)]
        case 7:
            brokers = 3
            count = (faults + 1) // 2
            picked[:count] = [
                kinds.replicated[(round_ * count + n) % len(kinds.replicated)] for n in range(count)
            ]
        case 9:
            picked, places, workers = [kinds.alone[round_ % len(kinds.alone)]], [1.0], 1
    rate, max_records = orders // chance.choice((4, 8, 12, 16)), chance.choice((20, 200, 1_000, 5_000))
    through_kafka = chance.random() < 0.25
    return Plan(
        seed=seed,
        partitions=partitions,
        workers=workers,
        brokers=brokers,
        orders=orders,
        rate=rate,
        max_records=max_records,
        carry=Carry.TOGETHER if partitions == 1 else Carry.KAFKA if through_kafka else Carry.MEMORY,
        steps=tuple(
            Step(int(place * orders), kind, chance.randrange(2**31))
            for place, kind in zip(places, picked, strict=True)
        ),
    )


def soak_of(seed: int, kinds: Sequence[str], minutes: int) -> Plan:
    """Return a long schedule: a fault a minute, each kind in its turn, under a steady flow of orders."""
    chance = random.Random(seed)
    a_minute = SOAK_RATE * 60
    steps = (
        Step(minute * a_minute, kinds[(seed + minute) * _STRIDE % len(kinds)], chance.randrange(2**31))
        for minute in range(1, minutes)
    )
    return Plan(
        seed=seed,
        partitions=4,
        workers=2,
        brokers=1,
        orders=minutes * a_minute,
        rate=SOAK_RATE,
        max_records=5_000,
        carry=Carry.MEMORY,
        steps=tuple(steps),
    )
