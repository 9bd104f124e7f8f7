"""A18: whoever repeats a request changes nothing: of all requests with one id, at most one took effect.

Ids of requests are as many as the requests, so they are spooled: 29 bytes each, in buckets by digest, in memory while they
are few and in temporary files when they are many. A report reads one bucket at a time.
"""

import struct
import weakref
from collections.abc import Iterator
from hashlib import blake2b
from tempfile import SpooledTemporaryFile
from typing import IO, Final, NamedTuple

from bourse.audit.entries import Way
from bourse.audit.equations import Equation, Ledger, Offence
from bourse.schemas.records import (
    OrderEvent,
    OrderStatus,
    TransactionKind,
    ValidatedOrder,
    WalletTransaction,
)

_BUCKETS: Final = 64
_IN_MEMORY: Final = 1 << 18
_ROW: Final = struct.Struct("<16sBIQ")
_DIGEST: Final = 16
_TOOK_EFFECT, _REPEATED, _REFUSED = range(3)
_ORDERS, _COMMANDS = 0, 4
_TOPICS: Final = {_ORDERS: "orders", _COMMANDS: "wallet-commands"}
_POSITION_PARTS: Final = 3
_REPEATS: Final = frozenset(("RETRY", "DUPLICATE_CLIENT_ORDER_ID", "DUPLICATE_REQUEST"))
_MOVED: Final = frozenset((TransactionKind.DEPOSIT, TransactionKind.WITHDRAWAL))


class _Request(NamedTuple):
    """A request as it was answered."""

    id: bytes
    answer: int
    place: str


class Retries:
    """The ids of all requests and how each was answered."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        # They are closed when the auditor goes.
        self._buckets: list[IO[bytes]] = [SpooledTemporaryFile(_IN_MEMORY) for _ in range(_BUCKETS)]  # noqa: SIM115
        self._count = 0
        weakref.finalize(self, _close, self._buckets)

    def validated(self, order: ValidatedOrder) -> None:
        """Take in an order message that was let through."""
        self._note(_ORDERS | _TOOK_EFFECT, order.account_id, order.client_order_id, order.event_id)

    def refused(self, event: OrderEvent, way: Way) -> None:
        """Take in an order message that validation refused; other steps in an order's life are no answers."""
        if way.path == "v" and way.is_first and event.status is not OrderStatus.VALIDATED:
            answer = _REPEATED if event.reason in _REPEATS else _REFUSED
            self._note(_ORDERS | answer, event.account_id, event.client_order_id, event.event_id)

    def change(self, change: WalletTransaction, way: Way) -> None:
        """Take in the answer to a wallet command; other changes are none."""
        if way.path != "r" or change.request_id is None:
            return
        answer = _REPEATED if change.reason in _REPEATS else _REFUSED
        answer = _TOOK_EFFECT if change.kind in _MOVED else answer
        self._note(_COMMANDS | answer, change.account_id, change.request_id, change.event_id)

    def _note(self, kind: int, account_id: str, request_id: str, event_id: str) -> None:
        place = event_id.split("/", _POSITION_PARTS)
        if place[0] != _TOPICS[kind & _COMMANDS]:
            return  # What an operator or an outsider asks for has no id that somebody could repeat.
        self._count += 1
        digest = blake2b(
            f"{kind & _COMMANDS} {account_id} {request_id}".encode(), digest_size=_DIGEST
        ).digest()
        row = _ROW.pack(digest, kind, int(place[1]), int(place[2]))
        self._buckets[digest[0] % _BUCKETS].write(row)

    def conclude(self, ledger: Ledger) -> None:
        """Look for ids with two effects, and for repeats of nothing."""
        ledger.looked_at[Equation.A18] += self._count
        for bucket in self._buckets:
            effects: dict[bytes, str] = {}
            known: set[bytes] = set()
            repeats: list[_Request] = []
            for request in _requests(bucket):
                if request.answer == _REPEATED:
                    repeats.append(request)
                    continue
                known.add(request.id)
                if request.answer == _TOOK_EFFECT:
                    first = effects.setdefault(request.id, request.place)
                    if first != request.place:
                        cause = f"it took effect, but repeats {first}"
                        ledger.fail_at(Equation.A18, Offence(request.place, None, cause))
            for request in repeats:
                if request.id not in known:
                    cause = "it was put aside as a repeat, but there is no other with its id"
                    ledger.fail_at(Equation.A18, Offence(request.place, None, cause))


def _requests(bucket: IO[bytes]) -> Iterator[_Request]:
    bucket.seek(0)
    rows = bucket.read()
    for digest, kind, partition, offset in _ROW.iter_unpack(rows):
        yield _Request(digest, kind & ~_COMMANDS, f"{_TOPICS[kind & _COMMANDS]}/{partition}/{offset}")


def _close(buckets: list[IO[bytes]]) -> None:
    for bucket in buckets:
        bucket.close()
