"""A18: whoever repeats a request changes nothing: of all requests with one id, at most one took effect within 30 days.

Ids of requests are as many as the requests, so they are spooled: 37 bytes each, in buckets by digest, in memory while they
are few and in temporary files when they are many. A report reads one bucket at a time.

An id may be used again when some market's business date is more than 30 days after the one on which it was used. When
that was, Kafka's timestamps tell: the date may not have been announced after the second use, nor the first date after the first.
"""

import datetime as dt
import struct
import weakref
from collections import defaultdict
from collections.abc import Iterator
from hashlib import blake2b
from tempfile import SpooledTemporaryFile
from typing import IO, Final, NamedTuple

from bourse.audit.entries import Entry, Way
from bourse.audit.equations import Equation, Ledger, Offence
from bourse.schemas.records import (
    OrderEvent,
    OrderStatus,
    SessionEvent,
    TransactionKind,
    ValidatedOrder,
    WalletTransaction,
)

_BUCKETS: Final = 64
_IN_MEMORY: Final = 1 << 18
_ROW: Final = struct.Struct("<16sBIQQ")
_DIGEST: Final = 16
_TOOK_EFFECT, _REPEATED, _REFUSED = range(3)
_ORDERS, _COMMANDS = 0, 4
_TOPICS: Final = {_ORDERS: "orders", _COMMANDS: "wallet-commands"}
_POSITION_PARTS: Final = 3
_KEPT: Final = dt.timedelta(days=30)
_CLOCKS_DIFFER_MS: Final = 5_000
_REPEATS: Final = frozenset(("RETRY", "DUPLICATE_CLIENT_ORDER_ID", "DUPLICATE_REQUEST"))
_MOVED: Final = frozenset((TransactionKind.DEPOSIT, TransactionKind.WITHDRAWAL))


class _Request(NamedTuple):
    """A request as it was answered."""

    id: bytes
    partition: int
    offset: int
    answer: int
    topic: str
    time_ms: int
    """When Kafka got the answer."""

    @property
    def place(self) -> str:
        """Where it stands."""
        return f"{self.topic}/{self.partition}/{self.offset}"


class _Dates:
    """The business dates of all markets, as Kafka got their announcements."""

    def __init__(self) -> None:
        self._moves: defaultdict[str, list[tuple[int, dt.date]]] = defaultdict(list)
        """By market: when it moved on to which date."""

    def learn(self, time_ms: int, market: str, date: dt.date) -> None:
        """Take in the date of a market, which never goes back."""
        moves = self._moves[market]
        if not moves or date > moves[-1][1]:
            moves.append((time_ms, date))

    def are_apart(self, first_ms: int, second_ms: int) -> bool:
        """Say whether an id that was used at one time may have been forgotten at another."""
        earliest = min(
            (_at(moves, first_ms - _CLOCKS_DIFFER_MS) for moves in self._moves.values()), default=None
        )
        latest = max(
            (_at(moves, second_ms + _CLOCKS_DIFFER_MS) for moves in self._moves.values()), default=None
        )
        return earliest is not None and latest is not None and latest - earliest > _KEPT


def _at(moves: list[tuple[int, dt.date]], time_ms: int) -> dt.date:
    """Return the date of a market at a time, its first one before that."""
    return next((date for moved_ms, date in reversed(moves) if moved_ms <= time_ms), moves[0][1])


class Retries:
    """The ids of all requests and how each was answered."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        # They are closed when the auditor goes.
        self._buckets: list[IO[bytes]] = [SpooledTemporaryFile(_IN_MEMORY) for _ in range(_BUCKETS)]  # noqa: SIM115
        self._count = 0
        self._dates = _Dates()
        weakref.finalize(self, _close, self._buckets)

    def announcement(self, entry: Entry, session: SessionEvent) -> None:
        """Take in the business date of a market."""
        if session.symbol is None:
            self._dates.learn(entry.timestamp_ms, session.market, session.business_date)

    def validated(self, entry: Entry, order: ValidatedOrder) -> None:
        """Take in an order message that was let through."""
        self._note(entry, _ORDERS | _TOOK_EFFECT, order.account_id, order.client_order_id, order.event_id)

    def refused(self, entry: Entry, event: OrderEvent, way: Way) -> None:
        """Take in an order message that validation refused; other steps in an order's life are no answers."""
        if way.path == "v" and way.is_first and event.status is not OrderStatus.VALIDATED:
            answer = _REPEATED if event.reason in _REPEATS else _REFUSED
            self._note(entry, _ORDERS | answer, event.account_id, event.client_order_id, event.event_id)

    def change(self, entry: Entry, change: WalletTransaction, way: Way) -> None:
        """Take in the answer to a wallet command; other changes are none."""
        if way.path != "r" or change.request_id is None:
            return
        answer = _REPEATED if change.reason in _REPEATS else _REFUSED
        answer = _TOOK_EFFECT if change.kind in _MOVED else answer
        self._note(entry, _COMMANDS | answer, change.account_id, change.request_id, change.event_id)

    def _note(self, entry: Entry, kind: int, account_id: str, request_id: str, event_id: str) -> None:
        place = event_id.split("/", _POSITION_PARTS)
        if place[0] != _TOPICS[kind & _COMMANDS]:
            return  # What an operator or an outsider asks for has no id that somebody could repeat.
        self._count += 1
        digest = blake2b(
            f"{kind & _COMMANDS} {account_id} {request_id}".encode(), digest_size=_DIGEST
        ).digest()
        row = _ROW.pack(digest, kind, int(place[1]), int(place[2]), max(0, entry.timestamp_ms))
        self._buckets[digest[0] % _BUCKETS].write(row)

    def conclude(self, ledger: Ledger) -> None:
        """Look for ids with two effects, and for repeats of nothing."""
        ledger.looked_at[Equation.A18] += self._count
        for bucket in self._buckets:
            effects: dict[bytes, _Request] = {}
            known: set[bytes] = set()
            repeats: list[_Request] = []
            for request in sorted(_requests(bucket)):
                if request.answer == _REPEATED:
                    repeats.append(request)
                    continue
                known.add(request.id)
                if request.answer == _TOOK_EFFECT:
                    first = effects.get(request.id)
                    effects[request.id] = request
                    if first is not None and not self._dates.are_apart(first.time_ms, request.time_ms):
                        cause = f"it took effect, but repeats {first.place}"
                        ledger.fail_at(Equation.A18, Offence(request.place, None, cause))
            for request in repeats:
                if request.id not in known:
                    cause = "it was put aside as a repeat, but there is no other with its id"
                    ledger.fail_at(Equation.A18, Offence(request.place, None, cause))


def _requests(bucket: IO[bytes]) -> Iterator[_Request]:
    bucket.seek(0)
    rows = bucket.read()
    for digest, kind, partition, offset, time_ms in _ROW.iter_unpack(rows):
        yield _Request(digest, partition, offset, kind & ~_COMMANDS, _TOPICS[kind & _COMMANDS], time_ms)


def _close(buckets: list[IO[bytes]]) -> None:
    for bucket in buckets:
        bucket.close()
