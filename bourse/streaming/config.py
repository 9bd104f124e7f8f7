"""What the engine is told at start: names, limits, and which hops stay in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from bourse.streaming.carry import Carry
from bourse.streaming.outside import KAFKA, Outside
from bourse.streaming.patience import Patience
from bourse.streaming.stores import StoreFactory

RECONNECT_MS: Final = 1_000
"""Longest pause between tries to reach a broker that went away; librdkafka's own is 10 s, long after it may be back."""


@dataclass(frozen=True, slots=True)
class Member:
    """Who a worker is to Kafka, and how it reaches it."""

    brokers: str
    group: str
    worker: str
    transaction_timeout_ms: int = 10_000
    outside: Outside = KAFKA
    client: dict[str, str] = field(default_factory=dict)
    """Further librdkafka properties for consumers and admin clients, to tune them. The producer is none of librdkafka's and knows no TLS yet
    (decision 14), so nothing about security belongs here."""
    patience: Patience | None = None
    """Who is told of cycles that outlast the time-out; with None each start has the same."""

    @property
    def usual_timeout_ms(self) -> int:
        """The transactions' time-out without what patience has added."""
        return self.patience.usual_ms if self.patience else self.transaction_timeout_ms

    @property
    def transactional_id(self) -> str:
        """Stable for a worker's name, so that a restart fences its own ghost at once."""
        return f"{self.group}-{self.worker}"


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Settings of one worker's engine.

    `topics` names every topic that an agent reads, in the order in which frames of one cycle are handled.
    `inner` names those of them that agents write under the key they are read under, `crossing` those that agents write under
    another; `carry` says which of them reach their agent in memory.
    `writes` names every topic that an agent writes; it has to be there at the start, and so has the changelog.
    `shared` names those that several agents read: each record of them goes through all of its agents, and through what
    they hand over, before the next one does, so that no agent sees what another has made of a later record.
    """

    member: Member
    partitions: int
    changelog: str
    topics: Sequence[str]
    open_store: StoreFactory
    writes: frozenset[str] = frozenset()
    inner: frozenset[str] = frozenset()
    crossing: frozenset[str] = frozenset()
    shared: frozenset[str] = frozenset()
    carry: Carry = Carry.MEMORY
    max_records: int = 5_000
    max_bytes: int = 4_000_000
    poll_seconds: float = 0.1
    session_timeout_ms: int = 6_000

    def __post_init__(self) -> None:
        """Refuse what would take records past the partition that they belong to."""
        if self.carry is Carry.TOGETHER and self.partitions != 1:
            msg = f"hops can be carried together in one partition only, not in {self.partitions}"
            raise ValueError(msg)

    @property
    def handed_over(self) -> frozenset[str]:
        """Topics whose records are handed over in memory."""
        return self.carry.in_memory(self.inner, self.crossing)

    @property
    def polled(self) -> list[str]:
        """Topics that are consumed from Kafka, in handling order."""
        return [topic for topic in self.topics if topic not in self.handed_over]
