"""What earlier runs have left in Kafka, and whether it may go.

A demonstration needs a market without a past: its checks count everything. What an earlier demonstration left can be made
again at any time, so it may be wiped without asking; anything else only when somebody says so.
"""

import json
import shutil
from typing import Final, Self

from confluent_kafka.admin import AdminClient

from bourse.cli.console import note
from bourse.cli.errors import CliError
from bourse.cli.group import Group, Place
from bourse.cli.kafka import TIMEOUT_SECONDS, admin_client
from bourse.cli.local_broker import LocalBroker
from bourse.cli.processes import write_whole
from bourse.cli.up import down
from bourse.pipeline.flow import STAGES
from bourse.pipeline.outputs import Topic
from bourse.settings import Settings

INPUTS: Final = tuple(topic for topic in Topic if all(topic not in stage.writes for stage in STAGES))
NOTE: Final = "demo.json"


class Traces:
    """How many records the input topics hold, in which Kafka."""

    def __init__(self, cluster: str, counts: dict[str, int]) -> None:
        """Take the cluster's id, and the number of records by topic."""
        self.cluster = cluster
        self.counts = {topic: count for topic, count in counts.items() if count}

    @classmethod
    def found(cls, settings: Settings) -> Self:
        """Look into Kafka."""
        client = admin_client(settings.broker)
        cluster = client.describe_cluster(request_timeout=TIMEOUT_SECONDS).result().cluster_id
        return cls(cluster, _counts(client, settings))

    def are_demo(self, settings: Settings) -> bool:
        """Return whether this is exactly what the last demonstration noted when it ended well."""
        try:
            noted = json.loads((settings.data_dir / NOTE).read_text())
        except (OSError, ValueError):
            return False
        return bool(noted == {"cluster": self.cluster, "counts": self.counts})

    def write(self, settings: Settings) -> None:
        """Note this as what a demonstration has left."""
        text = json.dumps({"cluster": self.cluster, "counts": self.counts})
        write_whole(settings.data_dir / NOTE, text)


def make_room(settings: Settings, *, fresh: bool) -> None:
    """Leave a Kafka without a past, or raise CliError; wipes only what a demonstration left, or everything if `fresh`."""
    broker = LocalBroker.of(settings)
    if settings.broker_is_local and not broker.data.exists():
        return
    if settings.broker_is_local and broker.start():
        settings = Settings.read()
    traces = Traces.found(settings)
    if not traces.counts:
        return
    is_demo = traces.are_demo(settings)
    if not settings.broker_is_local or not (fresh or is_demo):
        raise _occupied(settings, traces)
    note(f"Wiping {'an earlier demonstration' if is_demo else _in_words(traces)} from {settings.data_dir}:")
    _wipe(settings, broker)


def _wipe(settings: Settings, broker: LocalBroker) -> None:
    down()
    for folder in (broker.data, settings.state_dir):
        note(f"  {folder}")
    broker.wipe()
    shutil.rmtree(settings.state_dir, ignore_errors=True)
    (settings.data_dir / NOTE).unlink(missing_ok=True)


def _occupied(settings: Settings, traces: Traces) -> CliError:
    problem = f"Kafka at {settings.broker} already holds {_in_words(traces)}; the demonstration needs a market without a past."
    if settings.broker_is_local:
        return CliError(
            problem,
            f"`bourse demo --fresh` stops everything, wipes {settings.data_dir} (broker and state) and begins anew; "
            "BOURSE_DATA_DIR=/another/folder leaves it as it is.",
        )
    return CliError(
        problem, "Choose topics of its own, for example with BOURSE_TOPIC_PREFIX=demo. and BOURSE_GROUP=demo."
    )


def _in_words(traces: Traces) -> str:
    return ", ".join(f"{count:,} {topic}" for topic, count in traces.counts.items())


def _counts(client: AdminClient, settings: Settings) -> dict[str, int]:
    group = Group(client, settings)
    partitions = group.partition_counts({settings.topic(topic) for topic in INPUTS})
    places = frozenset(Place(name, part) for name, count in partitions.items() for part in range(count))
    ends = group.ends(places)
    counts = dict.fromkeys((str(topic) for topic in INPUTS), 0)
    for place in places:
        counts[settings.contract_topic(place.topic)] += ends[place]
    return counts
