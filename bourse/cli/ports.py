"""Free ports of this machine."""

import secrets
import socket
from collections.abc import Collection

from bourse.cli.errors import CliError

HOST = "127.0.0.1"
# Below the range from which systems hand out ports, so that no outgoing connection takes a remembered one meanwhile.
PORTS = range(19_000, 32_000)
TRIES = 1000


def is_free(port: int) -> bool:
    """Return whether a server could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port(exclude: Collection[int] = ()) -> int:
    """Return a free port, chosen at random so that two servers that start together don't choose the same."""
    for _ in range(TRIES):
        port = secrets.choice(PORTS)
        if port not in exclude and is_free(port):
            return port
    msg = f"No free port was found between {PORTS.start} and {PORTS.stop}."
    raise CliError(msg, "End a program that listens there.")


def free_ports(count: int) -> list[int]:
    """Return so many free ports, no two of them the same."""
    chosen: list[int] = []
    for _ in range(count):
        chosen.append(free_port(chosen))
    return chosen
