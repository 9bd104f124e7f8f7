"""What announcements say of markets and instruments, by the place in `sessions` that they are copies of.

Ticks are not kept: an event that was read and is not here is one.
"""

import datetime as dt

from bourse.audit.entries import cause_of
from bourse.schemas.records import Announcement, InstrumentStatus, SessionEvent, SessionKind


class Sessions:
    """Every session event but ticks, and the last days of instruments."""

    def __init__(self) -> None:
        self._events: dict[str, SessionEvent] = {}
        self._read_to: dict[str, int] = {}
        """By partition of `sessions`: the last offset that was announced."""
        self.latest_ns = 0
        """The latest time that any market's clock has told."""
        self._last_days: dict[str, dt.date] = {}
        self._delisted: set[str] = set()

    def learn(self, announcement: Announcement) -> None:
        """Take in an announcement."""
        instrument, session = announcement.instrument, announcement.session
        if instrument is not None:
            if instrument.expiry_date is not None:
                self._last_days[instrument.symbol] = instrument.expiry_date
            if instrument.status is InstrumentStatus.DELISTED:
                self._delisted.add(instrument.symbol)
        if session is None:
            return
        place = cause_of(announcement.event_id)
        _, partition, offset = place.split("/")
        if session.kind is not SessionKind.TICK:
            self._events[place] = session
        self.latest_ns = max(self.latest_ns, announcement.event_time_ns)
        self._read_to[partition] = max(self._read_to.get(partition, -1), int(offset))

    def kind(self, copy: str) -> SessionKind | None:
        """Return what kind of event an announcement is a copy of, or None if it was not read yet."""
        place = cause_of(copy)
        event = self._events.get(place)
        if event is not None:
            return event.kind
        _, partition, offset = place.split("/")
        return SessionKind.TICK if int(offset) <= self._read_to.get(partition, -1) else None

    def was_delisted(self, symbol: str) -> bool:
        """Say whether an instrument was ever delisted."""
        return symbol in self._delisted

    def may_have_expired(self, symbol: str) -> bool:
        """Say whether an instrument has a last day."""
        return symbol in self._last_days
