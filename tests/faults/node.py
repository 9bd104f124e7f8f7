"""The broker of the fault machine: the development broker with a second address, which leads through the proxy.

The test itself uses the first address, so that it sees what is committed while the workers' network is broken.
"""

import signal
from pathlib import Path
from typing import Final

from bourse.cli.local_broker import LocalBroker, Ports
from bourse.cli.ports import HOST, free_port
from tests.faults.proxy import Proxy

LISTENERS: Final = """\
listeners=PLAINTEXT://{host}:{port},PROXIED://{host}:{behind},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{port},PROXIED://{host}:{proxy}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT
"""


class FaultyBroker(LocalBroker):
    """A node that can be killed, frozen and cut off."""

    def __init__(self, home: Path, jars: Path) -> None:
        """Choose ports that stay the same over all restarts."""
        super().__init__(home, jars, free_port())
        self.proxy = Proxy(free_port(exclude=self.wanted_port), free_port(exclude=self.wanted_port))

    def properties(self, ports: Ports) -> str:
        """Return the configuration with both listeners; of a property that is there twice the last one counts."""
        return super().properties(ports) + LISTENERS.format(
            host=HOST,
            port=ports.broker,
            behind=self.proxy.target,
            controller=ports.controller,
            proxy=self.proxy.port,
        )

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

    def stop(self) -> bool:
        """Stop, whatever state it is in."""
        if process := self.process():
            process.send(signal.SIGCONT)
        return super().stop()
