"""The development broker: one real Apache Kafka node on this machine, durable in a folder.

It decides where the node's files are, how it is configured and what counts as running. It knows no topic of ours.
"""

import base64
import contextlib
import fcntl
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import KafkaException

from bourse.cli.console import note
from bourse.cli.errors import CliError
from bourse.cli.java import find_java
from bourse.cli.kafka import admin_client
from bourse.cli.kafka_jars import fetch_jars
from bourse.cli.ports import HOST, free_port, is_free
from bourse.cli.processes import Process, end_all, last_lines, shorten_log, start_detached, write_whole
from bourse.settings import Settings

START_SECONDS = 60
STOP_SECONDS = 30
LOG_LIMIT_BYTES = 10 << 20
JAVA_FLAGS = (
    "-Xms256m",
    "-Xmx512m",
    # One small heap beside busy workers: the serial collector takes the least CPU and has pauses of a few milliseconds.
    "-XX:+UseSerialGC",
    # The optimising compiler would take half a core of a small machine for the first minute, from the workers.
    "-XX:TieredStopAtLevel=1",
    # Its counters are for tools of Java's, in a file that a killed one leaves behind.
    "-XX:-UsePerfData",
    "-Djava.awt.headless=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
)

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
log.dirs={data}
auto.create.topics.enable=false
message.max.bytes=2097152
# One node: every internal topic has one copy. Few partitions, because each one costs files, memory and start time.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=8
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# A first worker gets its partitions at once, and a lost one's transaction is aborted within a second of its timeout.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
log.cleaner.dedupe.buffer.size=16777216
"""


@dataclass(frozen=True, slots=True)
class Ports:
    """The two ports of the node."""

    broker: int
    controller: int


class LocalBroker:
    """The node of one data folder."""

    def __init__(self, home: Path, jars: Path, port: int = 0) -> None:
        """Take the node's folder, the folder of the jars, and a port that is wanted (0: the remembered or a free one)."""
        self.home = home
        self.jars = jars
        self.wanted_port = port
        self.data = home / "data"
        self.log = home / "broker.log"
        self._properties = home / "server.properties"
        self._address = home / "address"
        self._pid = home / "pid.json"

    @classmethod
    def of(cls, settings: Settings) -> "LocalBroker":
        """Return the node that the settings describe."""
        return cls(settings.data_dir / "broker", settings.broker_jars, settings.broker_port)

    @property
    def address(self) -> str | None:
        """The `host:port` that clients use, remembered from the first start on."""
        return self._address.read_text().strip() if self._address.is_file() else None

    def process(self) -> Process | None:
        """Return the node's process if it runs."""
        process = Process.read(self._pid)
        return process if process and process.is_alive() else None

    def has_died(self) -> bool:
        """Return whether the node ended without `stop` (a crash, a kill, a reboot)."""
        process = Process.read(self._pid)
        return process is not None and not process.is_alive()

    def start(self) -> bool:
        """Start the node and wait until it answers; return False when it was running already."""
        with self._locked():
            if self.process():
                self._wait_until_ready()
                return False
            self._launch()
            self._wait_until_ready()
            return True

    def start_again(self) -> None:
        """Start the node again if it has died, without waiting until it answers."""
        with self._locked():
            if self.has_died():
                self._launch()

    def stop(self) -> bool:
        """Stop the node, which writes everything to disk first; return False when it was not running."""
        with self._locked():
            process = self.process()
            if process and end_all([process], STOP_SECONDS):
                note(
                    f"Kafka did not stop within {STOP_SECONDS} s and was killed; it recovers at the next start."
                )
            self._pid.unlink(missing_ok=True)
            return process is not None

    def wipe(self) -> None:
        """Delete all data of the stopped node; jars, port and log stay."""
        with self._locked():
            if self.process():
                msg = "The broker is running."
                raise CliError(
                    msg, "Stop it first (`bourse broker stop`), or use `bourse broker wipe --force`."
                )
            shutil.rmtree(self.data, ignore_errors=True)

    def answers(self, timeout_seconds: float = 2) -> bool:
        """Return whether this very node answers a request (not another one that has taken its port)."""
        if not self.address:
            return False
        # Kept in a name, because a client that is garbage collected answers nothing.
        client = admin_client(self.address)
        try:
            cluster = client.describe_cluster(request_timeout=timeout_seconds).result(timeout_seconds)
        except (KafkaException, TimeoutError):
            return False
        return bool(cluster.cluster_id == self._cluster_id())

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Let one command at a time start, stop or wipe the node."""
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _launch(self) -> None:
        jars = fetch_jars(self.jars)
        java = find_java()
        self._configure(self._choose_ports())
        self._format(java, jars)
        self._run(java, jars)

    def _choose_ports(self) -> Ports:
        """Keep the remembered port while it is free; take another one otherwise."""
        remembered = int(self.address.rpartition(":")[2]) if self.address else 0
        wanted = self.wanted_port or remembered
        if wanted and is_free(wanted):
            return Ports(wanted, free_port({wanted}))
        if self.wanted_port:
            msg = f"Port {self.wanted_port}, which BOURSE_BROKER_PORT asks for, is taken by another program."
            raise CliError(msg, "Choose another one, or unset it to get a free one.")
        chosen = free_port()
        if remembered:
            note(f"Port {remembered} is taken by another program now; the broker moves to {chosen}.")
        return Ports(chosen, free_port({chosen}))

    def properties(self, ports: Ports) -> str:
        """Return the node's configuration, as Kafka reads it."""
        return PROPERTIES.format(
            host=HOST, port=ports.broker, controller_port=ports.controller, data=self.data
        )

    def new_cluster_id(self) -> str:
        """Return the id that an empty data folder gets."""
        return new_cluster_id()

    def _configure(self, ports: Ports) -> None:
        # Whole, or the ones before: a disk that is full would leave an empty address, and clients without a broker.
        write_whole(self._properties, self.properties(ports))
        write_whole(self._address, f"{HOST}:{ports.broker}")

    def _format(self, java: str, jars: Path) -> None:
        """Prepare an empty data folder, once."""
        if (self.data / "meta.properties").is_file():
            return
        command = [java, "-cp", f"{jars}/*", "kafka.tools.StorageTool", "format"]
        result = subprocess.run(  # noqa: S603 - the command is built by this program
            [*command, "--cluster-id", self.new_cluster_id(), "--config", str(self._properties)],
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            msg = f"Kafka could not prepare its data folder {self.data}:\n{(result.stderr or result.stdout).strip()}"
            raise CliError(msg, "Check that the folder can be written and that the disk has room.")

    def _run(self, java: str, jars: Path) -> None:
        shorten_log(self.log, LOG_LIMIT_BYTES)
        # What a killed node leaves of its own native libraries goes with its data.
        flags = [*JAVA_FLAGS, f"-Djava.io.tmpdir={self.data}"]
        command = [java, *flags, "-cp", f"{jars}/*", "kafka.Kafka", str(self._properties)]
        start_detached(command, log=self.log, cwd=self.home).write(self._pid)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if not self.process():
                msg = f"Kafka ended while it started:\n{last_lines(self.log)}"
                raise CliError(msg, f"The whole log is {self.log}.")
            if time.monotonic() > deadline:
                msg = f"Kafka runs but has not answered within {START_SECONDS} s."
                raise CliError(msg, f"Its log is {self.log}; `bourse broker stop` ends it.")
            time.sleep(0.1)

    def _cluster_id(self) -> str:
        lines = (self.data / "meta.properties").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)["cluster.id"]


def new_cluster_id() -> str:
    """Return a fresh id in Kafka's form; one that begins with a dash would be read as an option."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return text
