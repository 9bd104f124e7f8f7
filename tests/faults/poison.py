"""Sixty-odd kinds of records that nobody can read, or that stand where they do not belong."""

import datetime as dt
import struct
from collections.abc import Callable
from typing import Final

from bourse.agents.wire import Wire
from bourse.schemas.records import (
    Account,
    CorporateAction,
    CorporateActionType,
    Instrument,
    Order,
    OrderAction,
    Participant,
    Record,
    SessionEvent,
    SessionKind,
    Trade,
    WalletAction,
    WalletCommand,
)
from bourse.settings import Settings

Raw = tuple[str, bytes | None, bytes | None, int]
"""Topic of the contract, key, value and partition."""

KEY: Final = "POISON"
GOOD: Final[dict[str, Record]] = {
    "orders": Order(OrderAction.CANCEL, "c", KEY, "target", "S"),
    "wallet-commands": WalletCommand(WalletAction.DEPOSIT, "r", KEY, "EUR", 1),
    "accounts": Account(KEY),
    "participants": Participant(KEY),
    "instruments": Instrument(symbol=KEY),
    "corporate-actions": CorporateAction("a", KEY, CorporateActionType.SPLIT, dt.date(2026, 1, 5)),
    "sessions": SessionEvent(KEY, SessionKind.OPEN, None, dt.date(2026, 1, 5)),
}
"""A record of each topic that anybody may write to, which would be read if nothing were done to it."""

Damage = Callable[[bytes], bytes | None]
_LONG_VARINT: Final = b"\xff" * 10


def _after_header(body: bytes) -> Damage:
    return lambda good: good[:5] + body


TO_ANY: Final[dict[str, Damage]] = {
    "not Avro": lambda _good: b"hello",
    "no value": lambda _good: None,
    "empty value": lambda _good: b"",
    "schema id that nobody knows": lambda good: good[:1] + struct.pack(">I", 2**31 - 7) + good[5:],
    "cut short": lambda good: good[:-1],
    "something behind it": lambda good: good + b"!",
    "another magic byte": lambda good: b"\x01" + good[1:],
    "header only": lambda good: good[:5],
}
TO_ORDERS: Final[dict[str, Damage]] = {
    "cut within the schema id": lambda good: good[:3],
    "magic byte only": lambda good: good[:1],
    "action that is none": lambda good: good[:5] + b"\x7e" + good[6:],
    "negative action": lambda good: good[:5] + b"\x01" + good[6:],
    "varint without end": _after_header(_LONG_VARINT),
    "negative length of a text": lambda good: good[:6] + b"\x01" + good[7:],
    "text longer than the record": lambda good: good[:6] + b"\xfe\x7f" + good[7:],
    "text of 2^62 bytes": lambda good: good[:6] + b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f" + good[7:],
    "text that is no UTF-8": lambda good: good[:6] + b"\x02\xff" + good[8:],
    "zeros": _after_header(bytes(200)),
    "ones": _after_header(b"\xff" * 200),
    "900 KB of nothing": lambda _good: b"z" * 900_000,
    "JSON": lambda _good: b'{"action": "NEW"}',
    "twice the same": lambda good: good + good,
}


def poison_for(settings: Settings, wire: Wire) -> dict[str, Raw]:
    """Return every kind by name, for a market's partitions."""
    home = wire.partition_of[KEY]
    key = KEY.encode()
    good = {topic: wire.encoders[type(record)](record) for topic, record in GOOD.items()}
    found: dict[str, Raw] = {}
    for topic, value in good.items():
        found |= {f"{topic}: {name}": (topic, key, damage(value), home) for name, damage in TO_ANY.items()}
    order = good["orders"]
    found |= {f"orders: {name}": ("orders", key, damage(order), home) for name, damage in TO_ORDERS.items()}
    trade = Trade("", "t", "S", KEY, "BUY", "o", "c", "B", "p", 10, 1, "MAKER")  # type: ignore[arg-type]
    found |= {
        "orders: a trade": ("orders", key, wire.encoders[Trade](trade), home),
        "orders: a command": ("orders", key, good["wallet-commands"], home),
        "orders: another key": ("orders", b"OTHER", order, home),
        "orders: no key": ("orders", None, order, home),
        "orders: a key that is no text": ("orders", b"\xff\xfe", order, home),
        "wallet-commands: another key": ("wallet-commands", b"OTHER", good["wallet-commands"], home),
        "wallet-commands: no key": ("wallet-commands", None, good["wallet-commands"], home),
        "wallet-commands: an order": ("wallet-commands", key, order, home),
    }
    if settings.partitions > 1:
        elsewhere = (home + 1) % settings.partitions
        found |= {
            "orders: another partition": ("orders", key, order, elsewhere),
            "wallet-commands: another partition": (
                "wallet-commands",
                key,
                good["wallet-commands"],
                elsewhere,
            ),
        }
    return found
