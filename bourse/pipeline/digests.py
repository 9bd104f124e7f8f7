"""Tell a repeated request from another one that reuses its id: a digest of what it asks for, sending time apart."""

from hashlib import blake2b
from operator import attrgetter
from typing import Final

import msgspec

from bourse.schemas.records import Order, WalletCommand

SIZE: Final = 16
_SENT: Final = "sent_time_ns"
_encode = msgspec.msgpack.Encoder().encode
_order_body = attrgetter(*(field for field in Order.__struct_fields__ if field != _SENT))
_command_body = attrgetter(*(field for field in WalletCommand.__struct_fields__ if field != _SENT))


def order_digest(order: Order) -> bytes:
    """Return the digest of every field of an order but `sent_time_ns`, which a retry may change."""
    return blake2b(_encode(_order_body(order)), digest_size=SIZE).digest()


def command_digest(command: WalletCommand) -> bytes:
    """Return the digest of every field of a wallet command but `sent_time_ns`."""
    return blake2b(_encode(_command_body(command)), digest_size=SIZE).digest()
