"""What the auditor reads: one record of one topic partition at a time, and the way that its `event_id` tells.

An `event_id` is the position of an outside input and a step for each stage that it went through
(`orders/3/1234/v0/r0/m2`). The auditor reads it by itself: nothing here is shared with the code that writes ids.
"""

from typing import Final, NamedTuple

from bourse.schemas import records
from bourse.schemas.records import Record

TOPIC_RECORDS: Final[dict[str, type[Record]]] = {
    "orders": records.Order,
    "validated": records.ValidatedOrder,
    "risk-approved": records.ApprovedOrder,
    "trades": records.Trade,
    "positions": records.PositionUpdated,
    "settlements": records.SettlementUpdated,
    "releases": records.Release,
    "order-events": records.OrderEvent,
    "wallet-commands": records.WalletCommand,
    "wallet-transactions": records.WalletTransaction,
    "accounts": records.Account,
    "participants": records.Participant,
    "instruments": records.Instrument,
    "corporate-actions": records.CorporateAction,
    "sessions": records.SessionEvent,
    "announcements": records.Announcement,
    "tape": records.TapePrint,
    "book-updates": records.BookUpdate,
    "dead-letters": records.DeadLetter,
}
"""The topics that an audit reads, the changelog apart, and what their records are (the contract's own names)."""

CHANGELOG: Final = "changelog"
"""The compacted topic of the workers' rows; its keys read `table/key`, a record that is None deletes a row."""


class Entry(NamedTuple):
    """A record with its place.

    `topic` is the name in the contract. `record` is None where the bytes are no record of the topic (poison), or where
    a row of the changelog is deleted. `value` has the bytes as they came, where the reader has them: dead letters are
    compared with them. `key` may be None where it is not known, as in the lines of an event file that leave it out.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: str | None
    record: Record | None
    value: bytes | None = None

    @property
    def place(self) -> str:
        """Where it stands, as `topic/partition/offset`: also the id of an input that came without one."""
        return f"{self.topic}/{self.partition}/{self.offset}"


class Way(NamedTuple):
    """The steps of an `event_id` behind its position: `v0/r0/m2` has the path `vrm` and the places (0, 0, 2)."""

    path: str
    places: tuple[int, ...]
    stage: str
    """Letter of the stage that wrote the record; empty where the id tells of none."""
    is_first: bool
    """Whether it is the first output of that stage for its cause: there is exactly one such record for each cause."""
    from_book: bool
    """Whether it passed through a book, so that its order is kept for each symbol only."""
    from_announcement: bool
    """Whether its cause is an announcement, which needs no answer."""


NO_WAY: Final = Way("", (), "", is_first=False, from_book=False, from_announcement=False)
"""The way of a record from outside, or of one whose id does not come from a position."""

_LIMIT: Final = 100_000


class Ways(dict[str, Way]):
    """Memo: the steps of an id to the way that they tell; it forgets everything at its limit."""

    def __missing__(self, steps: str) -> Way:
        """Read and remember."""
        if len(self) >= _LIMIT:
            self.clear()
        way = self[steps] = _way(steps.split("/"))
        return way


def _way(steps: list[str]) -> Way:
    path = "".join(step[:1] for step in steps)
    numbers = [step[1:] for step in steps]
    if not (path.isalpha() and all(number.isdecimal() for number in numbers)):
        return NO_WAY
    places = tuple(map(int, numbers))
    return Way(
        path,
        places,
        path[-1],
        is_first=places[-1] == 0,
        from_book="m" in path,
        from_announcement=path[-2:-1] == "a",
    )


def cause_of(event_id: str) -> str:
    """Return the id of the record that caused another."""
    return event_id.rpartition("/")[0]
