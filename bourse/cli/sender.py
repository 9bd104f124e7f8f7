"""Single records to their topics, for the commands of operators."""

from bourse.cli.event_file import Outgoing
from bourse.cli.kafka import admin_client, require_kafka
from bourse.cli.publish import Publisher
from bourse.cli.wire import Wire
from bourse.pipeline.envelope import key_of
from bourse.pipeline.flow import TOPICS
from bourse.pipeline.outputs import Topic
from bourse.schemas.records import Record
from bourse.settings import Settings


class Sender:
    """Publishes records of one topic, each under its key."""

    def __init__(self, topic: Topic) -> None:
        """Connect; raises CliError if there is no Kafka."""
        settings = Settings.read()
        require_kafka(admin_client(settings.broker), settings)
        self._topic = topic
        self._wire = Wire(settings)
        self._publisher = Publisher(settings, None, lambda: None)

    def send(self, *records: Record) -> None:
        """Publish records and wait until Kafka has them; raises CliError if it does not take one."""
        topic, wire = TOPICS[self._topic], self._wire
        self._publisher.send(
            Outgoing(
                topic.name, (key_of(topic, record) or "").encode(), wire.encode(topic.name, record), None
            )
            for record in records
        )
