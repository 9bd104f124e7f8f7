"""One market under faults: workers that are started again when they end, a broker, a network, and what is published."""

import itertools
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Consumer, ElectionType, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from bench.orders import Market, market, orders, reference_data
from bourse.cli.drain import look, wait_until_drained
from bourse.cli.errors import CliError
from bourse.cli.group import Group
from bourse.cli.kafka import admin_client
from bourse.schemas.records import Order
from bourse.settings import Settings
from tests.agents.workers import Workers
from tests.faults.cluster import Cluster, FaultyBroker
from tests.faults.plan import Plan
from tests.faults.worker import order_file

COMMAND: Final = (sys.executable, "-m", "tests.faults.worker")
EXPECTED: Final = ("TransactionFailed", "KafkaException", "CallHangs", "UnfinishedFrame")
"""What a worker may stop for, or an agent crash of, under any faults; kinds may expect more. It is started again and goes on.

A frame is unfinished because of what its agent crashed of, which has to be expected too.
"""
SYMBOLS: Final = 40
ACCOUNTS: Final = 120
RESTART_SECONDS: Final = 0.5
STOP_SECONDS: Final = 20.0
DRAIN_SECONDS: Final = 90.0
WHOLE_SECONDS: Final = 60.0
GOES_ON_SECONDS: Final = 40.0
_STOPS = re.compile(r"(?:the worker stops: |Crashed reason=)(\w+)")
_RECENT: Final = 200
_SILENCES: Final = 3
"""As many questions without an answer as one client is trusted with."""

Going = Generator[float, None, bool | None]
"""A fault under way: yields how many seconds it wants to be left alone; returns False when its moment never came."""


def java_hash(text: str) -> int:
    """Return `Math.abs(text.hashCode())`, by which Kafka chooses coordinators."""
    code = 0
    for unit in text:
        code = (31 * code + ord(unit)) & 0xFFFFFFFF
    return abs(code - (1 << 32) if code >> 31 else code)


class Availability:
    """In how many of the seconds that were looked at a partition has moved on."""

    def __init__(self) -> None:
        self.share = 1.0
        self._before: list[int] | None = None
        self._looked_at = 0.0
        self._seconds = self._moved = 0.0

    def look(self, committed: list[int]) -> None:
        """Take in what is committed of each partition; a look that comes late stands for all of its seconds."""
        now = time.monotonic()
        if self._before is None:
            self._before, self._looked_at = committed, now
        passed = now - self._looked_at
        if passed < 1.0:
            return
        # Where nobody could even ask for longer than that, nothing moved meanwhile but for the last second.
        moved = [after > before for before, after in zip(self._before, committed, strict=True)]
        self._seconds += passed * len(moved)
        self._moved += min(passed, 1.5) * sum(moved)
        self.share = self._moved / self._seconds
        self._before, self._looked_at = committed, now


class World:
    """What faults act upon."""

    def __init__(self, plan: Plan, settings: Settings, cluster: Cluster) -> None:
        self.plan = plan
        self.settings = settings
        self.cluster = cluster
        self.admin = admin_client(settings.broker)
        self.availability = Availability()
        self._probe = self._new_probe()
        self._silences = 0
        self.workers = Workers(settings, COMMAND)
        self.wanted: set[str] = set()
        """Workers that are to run: whoever of them ends is started again, unless a fault holds it."""
        self.held: set[str] = set()
        self.expected: set[str] = set(EXPECTED)
        self.endings: list[tuple[str, int]] = []
        self.sent: dict[str, int] = {}
        self.changelog_is_whole = True
        self.recent: deque[Order] = deque(maxlen=_RECENT)
        self.market: Market = market(plan.partitions, SYMBOLS, ACCOUNTS)
        self._flow = itertools.islice(orders(self.market, plan.seed), plan.orders)
        self._unsent = plan.orders
        self._born = time.monotonic()
        self._began = 0.0
        self._ended_at: dict[str, float] = {}
        self._handled = 0
        self._guests = itertools.count(1)
        self._leaving: list[subprocess.Popen[bytes]] = []

    def _new_probe(self) -> Consumer:
        return Consumer(
            {"bootstrap.servers": self.settings.broker, "group.id": self.settings.group, "log_level": 0}
        )

    def note(self, text: str) -> None:
        """Write down what happens when, for whoever looks into a failed schedule."""
        self.settings.logs_dir.mkdir(parents=True, exist_ok=True)
        with (self.settings.logs_dir / "schedule.txt").open("a") as story:
            story.write(f"{time.monotonic() - self._born:7.2f} s  {self._handled:>6} orders  {text}\n")

    # -- workers -----------------------------------------------------------------------------------------------------

    def want(self, name: str) -> None:
        """Run a worker from now on."""
        self.wanted.add(name)
        self.start(name)

    def start(self, name: str, **environment: str) -> None:
        """Start a worker's process."""
        self.note(f"{name} starts")
        self.workers.start(name, BOURSE_BROKER=self.cluster.proxied_servers, **environment)

    def watch(self) -> None:
        """Start again whatever has ended, as a supervisor would."""
        now = time.monotonic()
        for name in sorted(self.wanted - self.held):
            process = self.workers.running.get(name)
            code = None if process is None else process.poll()
            if process is not None and code is None:
                continue
            if process is not None and name not in self._ended_at:
                self.endings.append((name, code or 0))
                self.note(f"{name} ended with {code}")
                self._ended_at[name] = now
            if process is None or now - self._ended_at[name] > RESTART_SECONDS:
                self._ended_at.pop(name, None)
                self.start(name)

    @contextmanager
    def holding(self, chance: random.Random) -> Iterator[str | None]:
        """Give one of the running workers to a fault alone; it runs again afterwards. None: all are held already."""
        free = sorted(name for name in self.wanted - self.held if self.is_running(name))
        name = chance.choice(free) if free else None
        if name is None:
            yield None
            return
        self.held.add(name)
        try:
            yield name
        finally:
            self.held.discard(name)

    def is_running(self, name: str) -> bool:
        """Return whether the worker's process is there."""
        process = self.workers.running.get(name)
        return process is not None and process.poll() is None

    @contextmanager
    def guest(self) -> Iterator[str]:
        """Give the name of a worker that leaves again afterwards."""
        name = f"g{next(self._guests)}"
        try:
            yield name
        finally:
            self.wanted.discard(name)
            self._leave(name)

    def _leave(self, name: str) -> None:
        process = self.workers.running.pop(name, None)
        if process is not None:
            process.send_signal(signal.SIGTERM)
            self._leaving.append(process)

    def stop(self, name: str) -> Going:
        """End a worker politely, or, where it does not go, by force."""
        process = self.workers.running[name]
        process.send_signal(signal.SIGTERM)
        went = yield from self.until(lambda: process.poll() is not None, STOP_SECONDS)
        if not went:
            process.kill()
            process.wait()
        return went

    def close(self) -> None:
        """End every process that is left."""
        self._probe.close()
        for process in self._leaving:
            process.kill()
            process.wait()
        for name in self.workers.running:
            self.signal(name, signal.SIGCONT)
        self.workers.kill_all()

    def kill(self, name: str) -> None:
        """End a worker as a crash would."""
        self.workers.kill(name)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a worker."""
        self.workers.running[name].send_signal(number)

    def tell(self, name: str, point: str, action: str, seconds: float = 0.0) -> Path:
        """Tell a worker what to do at a point of its cycle; the file is gone as soon as it does."""
        file = order_file(self.settings.data_dir, name)
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_suffix(".draft")
        draft.write_text(f"{point} {action} {seconds}")
        return draft.replace(file)

    def state(self, name: str) -> Path:
        """Return the folder of a worker's stores."""
        return self.settings.state_dir / name

    def lose(self, folder: Path) -> None:
        """Delete a folder."""
        shutil.rmtree(folder, ignore_errors=True)

    def until(self, condition: Callable[[], bool], seconds: float) -> Going:
        """Wait for a condition; say whether it came in time."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            yield 0.05
        return True

    # -- input ---------------------------------------------------------------------------------------------------------

    def open_market(self) -> None:
        """Publish who trades what, and wait until it is known."""
        for topic, events in itertools.groupby(reference_data(self.market), lambda event: event[0]):
            for _, key, record in events:
                self.send(topic, key, record)
            self.workers.flush()
            self.drain()
        self._began = time.monotonic()

    def feed(self) -> None:
        """Publish the orders that are due by now."""
        due = min(self.plan.orders, int(self.plan.rate * (time.monotonic() - self._began)))
        for order in itertools.islice(self._flow, max(0, due - (self.plan.orders - self._unsent))):
            self._unsent -= 1
            self.recent.append(order)
            self.send("orders", order.account_id, order)

    @property
    def is_fed(self) -> bool:
        """Whether all of the plan's own orders are published."""
        return not self._unsent

    def send(self, topic: str, key: str, record: Any) -> None:
        """Publish a record."""
        self.raw(topic, key.encode(), self.workers.wire.encoders[type(record)](record))

    def raw(self, topic: str, key: bytes | None, value: bytes | None, partition: int = -1) -> None:
        """Publish bytes."""
        self.sent[topic] = self.sent.get(topic, 0) + 1
        self.workers.raw(topic, key, value, partition)

    def set_cleanup_policy(self, topic: str, policy: str) -> None:
        """Change what Kafka does with a topic's old records."""
        entry = ConfigEntry("cleanup.policy", policy, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        self.admin.incremental_alter_configs([resource])[resource].result()

    def changelog_id(self) -> str:
        """Return the id that Kafka gave to the changelog when it was made."""
        name = self.settings.topic("changelog")
        return str(self.admin.describe_topics(TopicCollection([name]))[name].result().topic_id)

    def ends(self, topic: str, seconds: float = 10.0) -> list[int]:
        """Return the end offset of each partition of a topic; KafkaException if a leader does not answer in time."""
        places = (TopicPartition(self.settings.topic(topic), p) for p in range(self.plan.partitions))
        return [self._probe.get_watermark_offsets(place, timeout=seconds)[1] for place in places]

    # -- progress ------------------------------------------------------------------------------------------------------

    def handled(self) -> int:
        """Return how many order messages are committed; the last known number while the broker does not answer."""
        topic = self.settings.topic("orders")
        places = [TopicPartition(topic, p) for p in range(self.plan.partitions)]
        # Not an admin client: librdkafka's aborts its process when a broker goes while it asks about groups.
        try:
            committed = [max(0, tp.offset) for tp in self._probe.committed(places, timeout=1.0)]
        except KafkaException:
            self._silences += 1
            if self._silences == _SILENCES:
                # It waits for a coordinator that is frozen, while the group has another one by now.
                self._probe.close()
                self._probe, self._silences = self._new_probe(), 0
        else:
            self._silences = 0
            self._handled = max(self._handled, sum(committed))
            self.availability.look(committed)
        return self._handled

    def _nothing_is_left(self) -> bool:
        """Whether all that was published is committed, or all of it that has reached the broker; False while nobody can tell."""
        if self._handled >= self.sent["orders"]:
            return True
        with suppress(KafkaException):
            return self._handled >= sum(self.ends("orders", seconds=1.0))
        return False

    def until_it_goes_on(self) -> Going:
        """Wait until workers commit something, or have nothing left to do; the market has stopped if they never do."""
        before = self.handled()
        goes_on = yield from self.until(
            lambda: self.handled() > before or self._nothing_is_left(), GOES_ON_SECONDS
        )
        assert goes_on, "nothing is committed while one of the brokers is away"

    def until_cluster_is_whole(self) -> Going:
        """Wait until the brokers answer and every copy of every partition is in step; it is broken if they never are."""
        deadline = time.monotonic() + WHOLE_SECONDS
        for node in self.cluster.nodes:
            yield from self.until(lambda node=node: node.answers(0.3), WHOLE_SECONDS)  # type: ignore[misc]
        looks = 0
        # More than once, since the answer may be of a broker that has only just come back and knows nothing yet.
        while looks < len(self.cluster.nodes):
            looks = looks + 1 if self._is_whole() else 0
            assert time.monotonic() < deadline, "the brokers do not come back"
            yield 0.3 if looks else 0.05

    def _is_whole(self) -> bool:
        with suppress(KafkaException):
            topics = self._probe.list_topics(timeout=0.5).topics
            parts = [part for topic in topics.values() for part in topic.partitions.values()]
            return all(part.leader > 0 and len(part.isrs) == len(part.replicas) for part in parts)
        return False

    def leader(self, topic: str, partition: int) -> FaultyBroker:
        """Return the broker that leads a partition."""
        return self.cluster.node(
            self._probe.list_topics(topic, 10).topics[topic].partitions[partition].leader
        )

    def coordinator(self, topic: str, name: str) -> FaultyBroker:
        """Return the broker that keeps a group or a producer's transactions: the leader of its partition of the topic."""
        count = len(self._probe.list_topics(topic, 10).topics[topic].partitions)
        return self.leader(topic, java_hash(name) % count)

    def elect_preferred_leaders(self) -> None:
        """Have each partition led by its first replica again."""
        self.note("leaders are elected")
        self.admin.elect_leaders(ElectionType.PREFERRED, None).result()

    def drain(self) -> None:
        """Wait until everything is committed, with every worker kept running meanwhile."""
        deadline = time.monotonic() + DRAIN_SECONDS
        while True:
            # A client of its own each time: one that has seen its broker go may never hear from a group again.
            group = Group(admin_client(self.settings.broker), self.settings)
            self.watch()
            try:
                wait_until_drained(group, lambda _text: self.watch())
                if self.is_complete(group):
                    return
            except (KafkaException, CliError):
                if time.monotonic() > deadline:
                    raise
            assert time.monotonic() < deadline, f"not everybody is back: {group.members()} of {self.wanted}"
            time.sleep(0.2)

    def is_complete(self, group: Group) -> bool:
        """Whether every worker runs and is a member of the group."""
        return all(map(self.is_running, self.wanted)) and len(group.members()) == len(self.wanted)

    def calm(self) -> None:
        """End every fault: the brokers run, the network is good, every worker is there."""
        self.note("every fault ends")
        self.cluster.start()
        for name in self.held & self.workers.running.keys():
            self.signal(name, signal.SIGCONT)
        self.held.clear()
        points = self.settings.data_dir / "points"
        shutil.rmtree(points, ignore_errors=True)
        self.workers.flush()

    def look_closer(self) -> None:
        """Have every worker write down where each of its threads stands."""
        for name in filter(self.is_running, self.workers.running):
            self.signal(name, signal.SIGQUIT)
        self.note(str(look(Group(admin_client(self.settings.broker), self.settings))))

    def stops(self) -> list[str]:
        """Return what workers stopped for that is not expected."""
        logs = self.settings.logs_dir.glob("*.log")
        found = {(log.stem, error) for log in logs for error in _STOPS.findall(log.read_text())}
        return sorted(f"{name} stopped for {error}" for name, error in found if error not in self.expected)
