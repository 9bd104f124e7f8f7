"""A Kafka in memory: what the broker side promises to transactional clients and to a consumer group.

Modelled: partitions with offsets that control records take up, too; transactions with markers that are written to each
partition in their own time, the last stable offset, epochs that fence, time-outs that abort; offsets that are pending until
their transaction's marker; a group with static members, sessions, generations and the range assignor; compaction.
Not modelled: brokers that fail or lose what they acknowledged, retention by time, authorisation.

Nothing here decides anything: it is told what to do and when. The clock is whoever's turns it.
"""

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException

from bourse.streaming.carry import Carry

Place = tuple[str, int]
"""A topic and a partition."""

FENCED = KafkaError._FENCED  # noqa: SLF001  (librdkafka's name for it)


def refusal(
    code: int, *, fatal: bool = False, retriable: bool = False, abort: bool = False
) -> KafkaException:
    """Return what confluent-kafka raises for a code."""
    return KafkaException(KafkaError(code, "simulated", fatal, retriable, abort))


class Clock:
    """Seconds since the simulation began; moves when somebody waits or works."""

    def __init__(self, epoch_ms: int) -> None:
        self.seconds = 0.0
        self._epoch_ms = epoch_ms

    def now(self) -> float:
        return self.seconds

    def wall_seconds(self) -> float:
        return self._epoch_ms / 1000 + self.seconds

    def milliseconds(self) -> int:
        return self._epoch_ms + int(self.seconds * 1000)


class Outcome(Enum):
    OPEN = "open"
    COMMITTED = "committed"
    ABORTED = "aborted"


class Transaction:
    """A transaction, what was written in it, and the offsets it carries."""

    __slots__ = ("began", "carry", "identity", "offsets", "outcome", "taken_in", "written")

    def __init__(self, identity: "Identity", began: float) -> None:
        self.identity = identity
        self.began = began
        self.outcome = Outcome.OPEN
        self.offsets: dict[Place, int] = {}
        self.written: list[tuple[Place, Entry]] = []
        self.taken_in: object = None
        """What the writer says that the transaction comes from; for whoever proves it afterwards."""
        self.carry = Carry.MEMORY
        """How the writer says that it carries hops; likewise."""


class Entry(NamedTuple):
    """What stands at an offset: a record, or the marker (without a time) that ends a transaction."""

    key: bytes | None
    value: bytes | None
    timestamp_ms: int | None
    transaction: Transaction | None


class Log:
    """One partition of one topic."""

    def __init__(self) -> None:
        self.entries: list[Entry | None] = []
        """None where compaction has taken something away."""
        self.undecided: dict[Transaction, int] = {}
        """First offset of every transaction whose marker is not here yet."""

    @property
    def end(self) -> int:
        """The high watermark."""
        return len(self.entries)

    @property
    def stable(self) -> int:
        """The last stable offset: everything before it is decided."""
        return min(self.undecided.values()) if self.undecided else len(self.entries)

    def next_committed(self, offset: int) -> int:
        """Return the offset of the first committed record from `offset` on, or the last stable offset."""
        stable, entries = self.stable, self.entries
        while offset < stable:
            entry = entries[offset]
            if entry is not None and entry.timestamp_ms is not None:
                transaction = entry.transaction
                if transaction is None or transaction.outcome is Outcome.COMMITTED:
                    return offset
            offset += 1
        return offset

    def next_record(self, offset: int) -> int:
        """Return the offset of the first record from `offset` on, whatever becomes of it, or the high watermark."""
        entries = self.entries
        while offset < len(entries) and ((entry := entries[offset]) is None or entry.timestamp_ms is None):
            offset += 1
        return offset

    def committed(self) -> Iterable[tuple[int, Entry]]:
        """Yield offset and entry of every committed record."""
        offset = self.next_committed(0)
        while offset < self.stable:
            entry = self.entries[offset]
            assert entry is not None
            yield offset, entry
            offset = self.next_committed(offset + 1)

    def compact(self) -> None:
        """Keep the last record of each key among what is decided; deletions stay, as they do for a long time."""
        last: set[bytes | None] = set()
        for offset in range(self.stable - 1, -1, -1):
            entry = self.entries[offset]
            if entry is None or entry.timestamp_ms is None:
                continue
            aborted = entry.transaction is not None and entry.transaction.outcome is Outcome.ABORTED
            if aborted or entry.key in last:
                self.entries[offset] = None
            else:
                last.add(entry.key)


class Identity:
    """A transactional id: who may use it, and its transaction."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.epoch = -1
        self.time_out = 0.0
        self.transaction: Transaction | None = None


class Member:
    """A member of the group."""

    def __init__(self, name: str, instance: str, topics: list[str], now: float, session: float) -> None:
        self.name = name
        self.instance = instance
        self.topics = topics
        self.seen = now
        self.session = session
        self.has_joined = True
        self.assigned: list[Place] = []


class GroupMetadata(NamedTuple):
    """What a member knows of the group, as it hands it to `send_offsets_to_transaction`."""

    member: str
    instance: str
    generation: int


class Group:
    """The coordinator's view of the one consumer group."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self.generation = 0
        self.is_balanced = True
        self.members: dict[str, Member] = {}
        self.offsets: dict[Place, int] = {}
        self.pending: dict[Transaction, set[Place]] = {}
        self._names = 0

    def join(self, instance: str, topics: list[str], now: float, session: float) -> Member:
        """Take in a member; one that comes back under its instance's name takes up what that had."""
        self._names += 1
        member = Member(f"{instance}-{self._names}", instance, topics, now, session)
        before = self.of_instance(instance)
        if before is not None:
            del self.members[before.name]
        self.members[member.name] = member
        if before is not None and before.topics == topics and self.is_balanced:
            member.assigned = before.assigned
        else:
            self._rebalance()
            self.complete()
        return member

    def forget(self, offsets: Mapping[Place, int]) -> None:
        """Come back from an older copy of the group's topic: with these offsets, and without members."""
        self.offsets = dict(offsets)
        for name in list(self.members):
            self.leave(name)

    def rejoin(self, member: Member) -> None:
        """Note that a member has given up its partitions and waits for new ones."""
        member.has_joined = True
        member.assigned = []
        self.complete()

    def leave(self, name: str) -> None:
        """Let a member go."""
        del self.members[name]
        self._rebalance()
        self.complete()

    def of_instance(self, instance: str) -> Member | None:
        """Return the member that goes under an instance's name now."""
        return next((member for member in self.members.values() if member.instance == instance), None)

    def check(self, metadata: GroupMetadata) -> None:
        """Refuse offsets of whoever is not in the present generation."""
        if metadata.member not in self.members:
            is_taken = self.of_instance(metadata.instance) is not None
            code = KafkaError.FENCED_INSTANCE_ID if is_taken else KafkaError.UNKNOWN_MEMBER_ID
            raise refusal(code, abort=True)
        if metadata.generation != self.generation:
            raise refusal(KafkaError.ILLEGAL_GENERATION, abort=True)

    def is_unstable(self, place: Place) -> bool:
        """Say whether an undecided transaction carries an offset of this partition."""
        return any(place in places for places in self.pending.values())

    def _rebalance(self) -> None:
        self.is_balanced = False
        for member in self.members.values():
            member.has_joined = not member.assigned

    def complete(self) -> None:
        """Begin a generation if everybody waits for it."""
        if self.is_balanced or not all(member.has_joined for member in self.members.values()):
            return
        self.generation += 1
        self.is_balanced = True
        for member in self.members.values():
            member.assigned = []
        for topic in sorted({topic for member in self.members.values() for topic in member.topics}):
            self._assign(topic)

    def _assign(self, topic: str) -> None:
        takers = sorted((m for m in self.members.values() if topic in m.topics), key=lambda m: m.name)
        each, more = divmod(self._partitions, len(takers))
        first = 0
        for number, member in enumerate(takers):
            after = first + each + (number < more)
            member.assigned += [(topic, partition) for partition in range(first, after)]
            first = after


class Kafka:
    """The broker: every log, every transactional id, the group."""

    cluster_id = "simulated"

    def __init__(self, topics: Iterable[str], partitions: int, clock: Clock) -> None:
        self.partitions = partitions
        self.clock = clock
        self.topics = tuple(topics)
        self.logs = {(topic, p): Log() for topic in self.topics for p in range(partitions)}
        self.identities: dict[str, Identity] = {}
        self.group = Group(partitions)
        self.markers: list[tuple[Transaction, Place | None]] = []
        """Markers that are decided and not yet written; None is the one among the group's offsets."""
        self.time_outs = 0
        """How often a transaction or a session took too long."""
        self.history: list[Transaction] = []
        """Every committed transaction, in the order of its decision."""

    def append(self, place: Place, key: bytes | None, value: bytes | None) -> int:
        """Write a record outside of any transaction, as producers of inputs do."""
        log = self.logs[place]
        log.entries.append(Entry(key, value, self.clock.milliseconds(), None))
        return len(log.entries) - 1

    # -- transactions -----------------------------------------------------------------------------------------------

    def take_over(self, name: str, time_out: float) -> tuple[Identity, int]:
        """Give a transactional id to its next owner: the one before is fenced and its transaction over."""
        identity = self.identities.setdefault(name, Identity(name))
        if identity.transaction is not None:
            self._decide(identity.transaction, Outcome.ABORTED)
        self._finish(identity)
        identity.epoch += 1
        identity.time_out = time_out
        return identity, identity.epoch

    def write(
        self, transaction: Transaction, epoch: int, place: Place, key: bytes | None, value: bytes | None
    ) -> int:
        """Write a record within a transaction."""
        self._join_in(transaction, epoch)
        log = self.logs[place]
        entry = Entry(key, value, self.clock.milliseconds(), transaction)
        log.undecided.setdefault(transaction, len(log.entries))
        log.entries.append(entry)
        transaction.written.append((place, entry))
        return len(log.entries) - 1

    def carry_offsets(
        self,
        transaction: Transaction,
        epoch: int,
        offsets: dict[Place, int],
        metadata: GroupMetadata,
    ) -> None:
        """Make offsets of the group part of a transaction."""
        self._join_in(transaction, epoch)
        self.group.check(metadata)
        transaction.offsets.update(offsets)
        self.group.pending.setdefault(transaction, set()).update(offsets)

    def end(self, transaction: Transaction, epoch: int, outcome: Outcome) -> None:
        """Decide a transaction; to ask again for what was decided is to be told."""
        if transaction.outcome is outcome:
            return
        if transaction.outcome is not Outcome.OPEN or transaction.identity.epoch != epoch:
            raise refusal(FENCED, fatal=True)
        self._decide(transaction, outcome)

    def write_marker(self, number: int = 0) -> None:
        """Write one of the markers that are due."""
        transaction, place = self.markers.pop(number)
        if place is None:
            self.group.pending.pop(transaction, None)
            if transaction.outcome is Outcome.COMMITTED:
                self.group.offsets.update(transaction.offsets)
        else:
            log = self.logs[place]
            log.entries.append(Entry(None, None, None, transaction))
            del log.undecided[transaction]

    def _join_in(self, transaction: Transaction, epoch: int) -> None:
        identity = transaction.identity
        if identity.epoch != epoch or transaction.outcome is not Outcome.OPEN:
            raise refusal(FENCED, fatal=True)
        if identity.transaction is not transaction:
            # The client is told CONCURRENT_TRANSACTIONS until the last one's markers are written, and asks again.
            self._finish(identity)
            identity.transaction = transaction
            transaction.began = self.clock.seconds

    def _decide(self, transaction: Transaction, outcome: Outcome) -> None:
        transaction.outcome = outcome
        if transaction.identity.transaction is transaction:
            transaction.identity.transaction = None
        places = dict.fromkeys(place for place, _ in transaction.written)
        self.markers += [(transaction, place) for place in places]
        if transaction in self.group.pending:
            self.markers.append((transaction, None))
        if outcome is Outcome.COMMITTED:
            self.history.append(transaction)

    def _finish(self, identity: Identity) -> None:
        for number in range(len(self.markers) - 1, -1, -1):
            if self.markers[number][0].identity is identity:
                self.write_marker(number)

    # -- time -------------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Abort transactions that are too old, and let members go that were not heard of."""
        now = self.clock.seconds
        for identity in self.identities.values():
            transaction = identity.transaction
            if transaction is not None and now - transaction.began > identity.time_out:
                identity.epoch += 1
                self.time_outs += 1
                self._decide(transaction, Outcome.ABORTED)
        for member in list(self.group.members.values()):
            if now - member.seen > member.session:
                self.time_outs += 1
                self.group.leave(member.name)
