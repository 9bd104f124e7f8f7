"""The workers as Kafka sees them: members of the group, who owns what, and how far they have committed.

It knows offsets and members, and nothing of what a record means.
"""

from dataclasses import dataclass
from typing import NamedTuple

from confluent_kafka import (
    Consumer,
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, MemberDescription, OffsetSpec

from bourse.cli.kafka import TIMEOUT_SECONDS, client_config, patiently
from bourse.settings import Settings

PROBE_SECONDS = 5.0


class Place(NamedTuple):
    """One partition of one topic, under its name in Kafka."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class Member:
    """One worker in the group."""

    worker: str
    host: str
    owned: frozenset[Place]


@dataclass(frozen=True, slots=True)
class Progress:
    """Where the workers are in one partition that they read."""

    committed: int
    stable_end: int  # Up to here every transaction is decided.
    end: int

    @property
    def behind(self) -> int:
        """Offsets from what is committed to the end: records, and marks of transactions, which no reader ever sees."""
        return self.end - self.committed

    @property
    def is_undecided(self) -> bool:
        """Whether a transaction is open here."""
        return self.stable_end < self.end


class Group:
    """The consumer group of the workers."""

    def __init__(self, client: AdminClient, settings: Settings) -> None:
        """Take the client to ask with, and the settings that name the group and its broker."""
        self._client = client
        self._settings = settings
        self.name = settings.group

    def members(self) -> list[Member]:
        """Return the workers in the group, by name; none while the group is empty or unknown."""
        described = patiently(self._client, self._describe)
        members = (Member(m.client_id, m.host.lstrip("/"), _owned(m.assignment)) for m in described)
        return sorted(members, key=lambda member: member.worker)

    def partition_counts(self, topics: set[str]) -> dict[str, int]:
        """Return how many partitions each of the topics has."""
        known = patiently(self._client, lambda: self._client.list_topics(timeout=TIMEOUT_SECONDS)).topics
        return {topic: len(known[topic].partitions) for topic in topics if topic in known}

    def progress(self, places: frozenset[Place]) -> dict[Place, Progress]:
        """Return where the workers are in these partitions.

        Committed offsets are read before the ends. So whatever a transaction that is missing among the former wrote
        is still ahead, and whatever one that is among them wrote is in the latter: no record can hide between two topics.
        """
        if not places:
            return {}
        committed = self.committed(places)
        stable, ends = self.stable_ends(places), self.ends(places)
        known = committed | self.starts(places - committed.keys())
        return {
            place: Progress(known[place], min(stable[place], ends[place]), ends[place])
            for place in sorted(places)
        }

    def starts(self, places: frozenset[Place]) -> dict[Place, int]:
        """Return the first offset that each partition still has."""
        return self._offsets(places, OffsetSpec.earliest())

    def ends(self, places: frozenset[Place]) -> dict[Place, int]:
        """Return the offset that the next record of each partition will get."""
        return self._offsets(places, OffsetSpec.latest(), IsolationLevel.READ_UNCOMMITTED)

    def stable_ends(self, places: frozenset[Place]) -> dict[Place, int]:
        """Return the offset in each partition up to which every transaction is decided."""
        return self._offsets(places, OffsetSpec.latest(), IsolationLevel.READ_COMMITTED)

    def holds_records(self, progress: dict[Place, Progress]) -> bool:
        """Return whether a committed record is left to read at or after any of the committed offsets.

        The offset of a worker at rest may stay below the end, because the mark that ends each transaction takes an
        offset too and is not read as a record, nor are aborted records. So a reader looks for a record.
        """
        starts = [
            TopicPartition(*place, where.committed) for place, where in progress.items() if where.behind > 0
        ]
        if not starts:
            return False
        probe = Consumer(
            client_config(self._settings.broker)
            | {
                "group.id": f"{self.name}-probe",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
            }
        )
        try:
            probe.assign(starts)
            return _finds_record(probe, len(starts))
        finally:
            probe.close()

    def _describe(self) -> list[MemberDescription]:
        answers = self._client.describe_consumer_groups([self.name], request_timeout=TIMEOUT_SECONDS)
        try:
            description = answers[self.name].result()
        except KafkaException as error:
            if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                return []
            raise
        is_gone = description.state in (ConsumerGroupState.DEAD, ConsumerGroupState.EMPTY)
        return [] if is_gone else list(description.members)

    def committed(self, places: frozenset[Place]) -> dict[Place, int]:
        """Return the committed offset of each of the places that has one."""
        request = ConsumerGroupTopicPartitions(self.name, [TopicPartition(*place) for place in places])

        def ask() -> dict[Place, int]:
            answers = self._client.list_consumer_group_offsets([request], request_timeout=TIMEOUT_SECONDS)
            found = answers[self.name].result().topic_partitions
            return {Place(p.topic, p.partition): p.offset for p in found if p.offset >= 0}

        return patiently(self._client, ask)

    def _offsets(
        self,
        places: frozenset[Place],
        spec: OffsetSpec,
        isolation: IsolationLevel = IsolationLevel.READ_COMMITTED,
    ) -> dict[Place, int]:
        if not places:
            return {}
        wanted = {TopicPartition(*place): spec for place in places}

        def ask() -> dict[Place, int]:
            answers = self._client.list_offsets(
                wanted, isolation_level=isolation, request_timeout=TIMEOUT_SECONDS
            )
            return {
                Place(part.topic, part.partition): future.result().offset for part, future in answers.items()
            }

        return patiently(self._client, ask)


def _owned(assignment: object) -> frozenset[Place]:
    parts: list[TopicPartition] = getattr(assignment, "topic_partitions", None) or []
    return frozenset(Place(part.topic, part.partition) for part in parts)


def _finds_record(probe: Consumer, partitions: int) -> bool:
    """Read until a record comes, or every partition has ended; anything else counts as a record: nothing is proved."""
    ended: set[Place] = set()
    while len(ended) < partitions:
        message = probe.poll(PROBE_SECONDS)
        error = message.error() if message else None
        if error is None or error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's name for the end
            return True
        ended.add(Place(message.topic(), message.partition()))
    return False
