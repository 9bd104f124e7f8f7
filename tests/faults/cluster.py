"""The brokers of the fault machine: one development broker, or three that keep three copies of everything.

Each has a second address, which leads through a proxy of its own. Workers use that one; the test itself uses the first, so
that it sees what is committed while the workers' network is broken.
"""

import json
import shutil
import signal
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Self

from bourse.cli.local_broker import LocalBroker, Ports, new_cluster_id
from bourse.cli.ports import HOST, free_ports
from tests.faults.proxy import Proxy

LISTENERS: Final = """\
node.id={number}
controller.quorum.voters={voters}
listeners=PLAINTEXT://{host}:{port},PROXIED://{host}:{behind},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{port},PROXIED://{host}:{proxy}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT
"""
REPLICATED: Final = """\
min.insync.replicas=2
offsets.topic.replication.factor=3
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
share.coordinator.state.topic.replication.factor=3
share.coordinator.state.topic.min.isr=2
# Shorter than Kafka's own nine seconds, as the workers' sessions are: a schedule has time for more of them.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
"""


class FaultyBroker(LocalBroker):
    """A node that can be killed, frozen and cut off, and lose its disk. Its ports stay the same over all restarts."""

    def __init__(self, home: Path, jars: Path, number: int, cluster_id: str, ports: Sequence[int]) -> None:
        """Take the number among the nodes of its cluster, whose id all of them share, and four ports of its own."""
        own, self.controller_port, proxy, behind = ports
        super().__init__(home, jars, own)
        self.number = number
        self.proxy = Proxy(proxy, behind)
        self.peers: Sequence[FaultyBroker] = (self,)
        self._id = cluster_id

    def new_cluster_id(self) -> str:
        """Return the id of the cluster: a node that has lost its disk comes back to the same."""
        return self._id

    def properties(self, ports: Ports) -> str:
        """Return the configuration with both listeners; of a property that is there twice the last one counts."""
        of_this_node = LISTENERS.format(
            number=self.number,
            voters=",".join(f"{peer.number}@{HOST}:{peer.controller_port}" for peer in self.peers),
            host=HOST,
            port=ports.broker,
            behind=self.proxy.target,
            controller=self.controller_port,
            proxy=self.proxy.port,
        )
        return super().properties(ports) + of_this_node + REPLICATED * (len(self.peers) > 1)

    def send(self, signal_number: signal.Signals) -> None:
        """Send a signal to the running node."""
        process = self.process()
        assert process is not None, "the broker does not run"
        process.send(signal_number)

    def kill(self) -> None:
        """End it as a crash would."""
        process = self.process()
        assert process is not None, "the broker does not run"
        process.send(signal.SIGKILL)
        assert process.wait(10)

    def lose_disk(self) -> None:
        """Delete all that it holds, its part of the cluster's metadata included; it must not run."""
        shutil.rmtree(self.data)

    def stop(self) -> bool:
        """Stop, whatever state it is in."""
        self.thaw()
        return super().stop()

    def thaw(self) -> None:
        """Let it go on, should it be frozen."""
        if process := self.process():
            process.send(signal.SIGCONT)


class Cluster:
    """The brokers of a schedule: `nodes`, by number from 1 on."""

    def __init__(self, home: Path, jars: Path, size: int) -> None:
        """Choose every port; nothing is started yet."""
        cluster_id, ports = new_cluster_id(), free_ports(4 * size)
        self.nodes = [
            FaultyBroker(home / str(number), jars, number, cluster_id, ports[4 * number - 4 : 4 * number])
            for number in range(1, size + 1)
        ]
        for node in self.nodes:
            node.peers = self.nodes

    @property
    def servers(self) -> str:
        """Where the test itself connects to."""
        return ",".join(f"{HOST}:{node.wanted_port}" for node in self.nodes)

    @property
    def proxied_servers(self) -> str:
        """Where workers connect to."""
        return ",".join(node.proxy.address for node in self.nodes)

    def start(self) -> None:
        """Have every node run and its network good, whatever state they are in; waits until all answer."""
        for node in self.nodes:
            node.thaw()
            node.proxy.heal()
        # At once: one of three answers nobody before it has found a second.
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            list(pool.map(FaultyBroker.start, self.nodes))

    def close(self) -> None:
        """End every node and its proxy for good."""
        for node in self.nodes:
            # Nodes that are told to stop together wait half a minute for a controller that is gone.
            if node.process():
                node.kill()
            node.proxy.close()

    def node(self, number: int) -> FaultyBroker:
        """Return the node of a number."""
        return self.nodes[number - 1]

    def controller(self) -> FaultyBroker:
        """Return the node that leads the cluster's metadata, as the nodes' own files say."""
        files = (node.data / "__cluster_metadata-0" / "quorum-state" for node in self.nodes)
        states = [json.loads(file.read_text()) for file in files]
        latest = max(states, key=lambda state: int(state["leaderEpoch"]))
        return self.node(max(1, int(latest["leaderId"])))


class Clusters:
    """The clusters of a row of schedules, by size; each is made when it is first asked for."""

    def __init__(self, home: Path, jars: Path) -> None:
        """Take the folder for all that they hold, and the folder of Kafka's jars."""
        self._home = home
        self._jars = jars
        self._made: dict[int, Cluster] = {}

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop every broker."""
        for cluster in self._made.values():
            cluster.close()

    def of(self, size: int) -> Cluster:
        """Return the cluster of so many brokers, started and whole."""
        if size not in self._made:
            self._made[size] = Cluster(self._home / f"of-{size}", self._jars, size)
        self._made[size].start()
        return self._made[size]
