"""Topics in Kafka against topics as wanted: make what is missing, compare what is there, change what may change.

A partition count is never changed: it decides which partition an account's or a symbol's state is in.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from confluent_kafka import TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from bourse.cli.errors import CliError
from bourse.cli.kafka import patiently
from bourse.cli.topic_settings import TopicSettings

TIMEOUT_SECONDS = 30


class Outcome(StrEnum):
    """What was found or done about one topic."""

    MADE = "made"
    MATCHES = "matches"
    CHANGED = "changed"
    DIFFERS = "differs"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class TopicReport:
    """One line of the table that a person reads: the topic, what was done, and each setting found different."""

    wanted: TopicSettings
    outcome: Outcome
    differences: dict[str, tuple[str, str]] = field(default_factory=dict)  # setting: (in Kafka, wanted)


class TopicAdmin:
    """Topics of one Kafka."""

    def __init__(self, client: AdminClient) -> None:
        """Take the client to ask with."""
        self._client = client

    def check(self, topics: list[TopicSettings]) -> list[TopicReport]:
        """Compare every topic and change nothing."""
        existing = self._existing()
        present = [topic for topic in topics if topic.name in existing]
        configs = self._configs(present)
        return [self._compare(topic, existing, configs) for topic in topics]

    def apply(self, topics: list[TopicSettings]) -> list[TopicReport]:
        """Make the topics that are missing and change settings that differ; fail before that if a count of partitions does."""
        found = self.check(topics)
        _refuse_other_partitions(found)
        self._make([report.wanted for report in found if report.outcome is Outcome.MISSING])
        for report in found:
            if report.outcome is Outcome.DIFFERS:
                self._change(report)
        return [_as_applied(report) for report in found]

    def delete(self, names: list[str]) -> None:
        """Delete topics with all their records."""
        for future in self._client.delete_topics(names, operation_timeout=TIMEOUT_SECONDS).values():
            future.result()

    def _existing(self) -> dict[str, tuple[int, int]]:
        """Return each topic's partitions and copies."""
        topics = self._client.list_topics(timeout=TIMEOUT_SECONDS).topics.values()
        return {
            topic.topic: (
                len(topic.partitions),
                min(len(part.replicas) for part in topic.partitions.values()),
            )
            for topic in topics
            if topic.partitions
        }

    def _configs(self, topics: list[TopicSettings]) -> dict[str, dict[str, str]]:
        resources = [ConfigResource(ResourceType.TOPIC, topic.name) for topic in topics]
        if not resources:
            return {}
        answers = self._client.describe_configs(resources, request_timeout=TIMEOUT_SECONDS)
        return {
            resource.name: {entry.name: entry.value for entry in future.result().values()}
            for resource, future in answers.items()
        }

    def _compare(
        self, topic: TopicSettings, existing: dict[str, tuple[int, int]], configs: dict[str, dict[str, str]]
    ) -> TopicReport:
        if topic.name not in existing:
            return TopicReport(topic, Outcome.MISSING)
        partitions, replication = existing[topic.name]
        found = {"partitions": str(partitions), "replication": str(replication), **configs[topic.name]}
        wanted = {"partitions": str(topic.partitions), "replication": str(topic.replication), **topic.config}
        differences = {
            key: (found.get(key, "nothing"), value)
            for key, value in wanted.items()
            if found.get(key) != value
        }
        return TopicReport(topic, Outcome.DIFFERS if differences else Outcome.MATCHES, differences)

    def _make(self, topics: list[TopicSettings]) -> None:
        if not topics:
            return
        wanted = [
            NewTopic(
                topic.name,
                num_partitions=topic.partitions,
                replication_factor=topic.replication,
                config=topic.config,
            )
            for topic in topics
        ]
        for future in self._client.create_topics(wanted, operation_timeout=TIMEOUT_SECONDS).values():
            future.result()
        self._wait_until_led(topics)

    def _wait_until_led(self, topics: list[TopicSettings]) -> None:
        """Wait until every new partition serves requests: a client that asks sooner may not look again for minutes."""
        places = [
            TopicPartition(topic.name, number) for topic in topics for number in range(topic.partitions)
        ]

        def ask() -> None:
            for future in self._client.list_offsets(
                {place: OffsetSpec.latest() for place in places}
            ).values():
                future.result()

        patiently(self._client, ask)

    def _change(self, report: TopicReport) -> None:
        entries = [
            ConfigEntry(key, wanted, incremental_operation=AlterConfigOpType.SET)
            for key, (_, wanted) in report.differences.items()
            if key != "replication"
        ]
        if entries:
            resource = ConfigResource(ResourceType.TOPIC, report.wanted.name, incremental_configs=entries)
            self._client.incremental_alter_configs([resource])[resource].result()


def _refuse_other_partitions(reports: list[TopicReport]) -> None:
    other = [report for report in reports if "partitions" in report.differences]
    if other:
        topic, (found, wanted) = other[0].wanted.name, other[0].differences["partitions"]
        more = f" (and {len(other) - 1} more)" if len(other) > 1 else ""
        msg = f"Topic {topic}{more} has {found} partitions, but {wanted} are wanted."
        raise CliError(
            msg,
            "The count decides where each account's state is, so it cannot change under existing records: "
            f"set BOURSE_PARTITIONS={found}, or start afresh (`bourse down`, `bourse broker wipe`).",
        )


def _as_applied(report: TopicReport) -> TopicReport:
    """Return the report after the work; copies of a partition are moved by Kafka's own tools only, so they still differ."""
    match report.outcome:
        case Outcome.MISSING:
            return TopicReport(report.wanted, Outcome.MADE)
        case Outcome.DIFFERS if "replication" not in report.differences:
            return TopicReport(report.wanted, Outcome.CHANGED, report.differences)
        case _:
            return report
