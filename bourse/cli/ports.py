"""Free ports of this machine."""

import secrets
import socket

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


def free_port(exclude: int = 0) -> int:
    """Return a free port, chosen at random so that two servers that start together don't choose the same."""
    for _ in range(TRIES):
        port = secrets.choice(PORTS)
        if port != exclude and is_free(port):
            return port
    msg = f"No free port was found between {PORTS.start} and {PORTS.stop}."
    raise CliError(msg, "End a program that listens there.")
