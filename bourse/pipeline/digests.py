"""Tell a repeated request from another one that reuses its id: a digest of what it asks for, sending time apart."""

from hashlib import blake2b
from typing import Final

import msgspec

from bourse.schemas.records import Order, WalletCommand

SIZE: Final = 16
_encode = msgspec.msgpack.Encoder().encode


def order_digest(order: Order) -> bytes:
    """Return the digest of every field of an order but `sent_time_ns`, which a retry may change."""
    body = (
        order.action,
        order.client_order_id,
        order.account_id,
        order.target_client_order_id,
        order.symbol,
        order.side,
        order.order_type,
        order.time_in_force,
        order.quantity,
        order.price,
        order.stop_price,
        order.trail_amount,
        order.display_quantity,
        order.post_only,
        order.self_trade_prevention,
        order.expire_time_ns,
        order.oco_group,
    )
    return blake2b(_encode(body), digest_size=SIZE).digest()


def command_digest(command: WalletCommand) -> bytes:
    """Return the digest of every field of a wallet command but `sent_time_ns`."""
    body = (command.action, command.request_id, command.account_id, command.asset, command.amount)
    return blake2b(_encode(body), digest_size=SIZE).digest()
