"""The bad network does what it is told."""

import socket
import threading
from collections.abc import Iterator

import pytest

from bourse.cli.ports import free_port
from tests.faults.proxy import HOST, Proxy


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """A proxy before a server that says everything back."""
    server = socket.create_server((HOST, 0))

    def echo(connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(100):
                connection.sendall(data)

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=echo, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    proxy = Proxy(free_port(), server.getsockname()[1])
    yield proxy
    proxy.close()
    server.shutdown(socket.SHUT_RDWR)
    server.close()


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection((HOST, proxy.port), timeout=0.3)


def ask(connection: socket.socket, text: bytes = b"hello") -> bytes:
    connection.sendall(text)
    return connection.recv(100)


def is_broken(connection: socket.socket) -> bool:
    """Whether the other end has gone, politely or not."""
    try:
        return ask(connection) == b""
    except ConnectionError:
        return True


def test_everything_goes_through(proxy: Proxy) -> None:
    with connect(proxy) as connection:
        assert ask(connection) == b"hello"


def test_a_silent_network_gives_it_all_later(proxy: Proxy) -> None:
    with connect(proxy) as connection:
        proxy.is_silent = True
        with pytest.raises(TimeoutError):
            ask(connection)
        proxy.heal()
        connection.settimeout(5)
        assert connection.recv(100) == b"hello"


def test_connections_are_cut_and_made_again(proxy: Proxy) -> None:
    with connect(proxy) as connection:
        assert ask(connection) == b"hello"
        proxy.cut()
        assert is_broken(connection)
    with connect(proxy) as connection:
        assert ask(connection) == b"hello"


def test_who_is_refused_cannot_connect_until_it_is_healed(proxy: Proxy) -> None:
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)
    proxy.heal()
    with connect(proxy) as connection:
        assert ask(connection) == b"hello"


def test_replies_are_lost_and_the_connection_with_them(proxy: Proxy) -> None:
    with connect(proxy) as connection:
        proxy.loses_replies = True
        with pytest.raises(TimeoutError):
            ask(connection)
        proxy.heal()
        assert is_broken(connection)
