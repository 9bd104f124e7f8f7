"""The announcer: copies what concerns everybody into every partition, where each stage finds it in one order.

Decides whether reference data make sense at all; refuses to know what anybody does with them. Keeps nothing.
"""

import datetime as dt
from collections.abc import Callable
from typing import Final, TypeAlias

from bourse.pipeline.errors import NotOurs
from bourse.pipeline.forms import are_remarks, clipped, is_currency, is_id, is_name
from bourse.pipeline.money import BASIS_POINTS, fits
from bourse.pipeline.outputs import Output, Outputs, Record, Topic
from bourse.pipeline.state import State
from bourse.pipeline.ticks import rounded_up
from bourse.schemas.records import (
    Announcement,
    AnnouncementKind,
    CorporateAction,
    Instrument,
    Participant,
    SessionEvent,
    SessionKind,
    TickBand,
)
from bourse.schemas.units import Price, TimeNs

LETTER: Final = "a"
MAX_SETTLEMENT_DAYS: Final = 30
MAX_TICK_BANDS: Final = 100
BREAKER_LEVELS: Final = range(1, 4)

Content: TypeAlias = tuple[
    AnnouncementKind,
    Instrument | None,
    CorporateAction | None,
    SessionEvent | None,
    Participant | None,
]
Handle: TypeAlias = Callable[[State, str, str, Record, TimeNs], list[Output]]


def announce(partitions: int, topic: str, cause: str, record: Record, time_ns: TimeNs) -> list[Output]:
    """Return a copy of the record for each of the partitions, in their order.

    Raises:
        NotOurs: the record is no reference data, or says something that cannot be.
    """
    key, (kind, instrument, corporate_action, session, participant) = _content(topic, record)
    outputs = Outputs(cause, LETTER)
    for partition in range(partitions):
        announcement = Announcement(
            outputs.next_id(), kind, instrument, corporate_action, session, time_ns, participant
        )
        outputs.put(Topic.ANNOUNCEMENTS, key, announcement, partition)
    return outputs.items


def handler(partitions: int) -> Handle:
    """Return the announcer in the shape of a stage, for that number of partitions."""

    def handle(_: State, topic: str, cause: str, record: Record, time_ns: TimeNs) -> list[Output]:
        return announce(partitions, topic, cause, record, time_ns)

    return handle


def _content(topic: str, record: Record) -> tuple[str, Content]:
    match record:
        case Instrument():
            _check_instrument(record)
            return record.symbol, (AnnouncementKind.INSTRUMENT, record, None, None, None)
        case CorporateAction():
            _require(is_name(record.symbol), f"malformed symbol {clipped(record.symbol)}")
            _require(is_id(record.action_id), f"malformed action_id {clipped(record.action_id)}")
            return record.symbol, (AnnouncementKind.CORPORATE_ACTION, None, record, None, None)
        case SessionEvent():
            _require(is_name(record.market), f"malformed market {clipped(record.market)}")
            _require(record.symbol is None or is_name(record.symbol), "malformed symbol")
            _check_session(record)
            return record.market, (AnnouncementKind.SESSION, None, None, record, None)
        case Participant():
            _require(
                is_id(record.participant_id), f"malformed participant_id {clipped(record.participant_id)}"
            )
            return record.participant_id, (AnnouncementKind.PARTICIPANT, None, None, None, record)
        case _:
            message = f"the announcer has no use for a {type(record).__name__} on {topic}"
            raise NotOurs(message)


def _check_session(session: SessionEvent) -> None:
    # Dates do not go back, and what trades on the last of all dates could never be settled.
    _require(session.business_date.year < dt.MAXYEAR, f"{session.business_date} leaves no date to settle on")
    if session.level is not None:
        _require(session.level in BREAKER_LEVELS, f"there is no level {session.level}")
        whole_market = session.kind is SessionKind.HALT and session.symbol is None
        _require(whole_market, "a level is for a halt of the whole market")


def _check_instrument(instrument: Instrument) -> None:
    _require(is_name(instrument.symbol), f"malformed symbol {clipped(instrument.symbol)}")
    _require(is_name(instrument.market), f"malformed market {clipped(instrument.market)}")
    _require(is_currency(instrument.currency), f"malformed currency {clipped(instrument.currency)}")
    _require(are_remarks(instrument.name, instrument.isin), "name or isin is too long")
    # Wallets are kept by asset: shares named like the cash that pays for them would mix with it.
    _require(instrument.symbol != instrument.currency, "symbol and currency are the same")
    _require(instrument.tick_size > 0, f"tick_size {instrument.tick_size} is not above 0")
    _require(instrument.lot_size > 0, f"lot_size {instrument.lot_size} is not above 0")
    for name, bps in (("maker", instrument.maker_fee_bps), ("taker", instrument.taker_fee_bps)):
        _require(0 <= bps <= BASIS_POINTS, f"{name}_fee_bps {bps} is not in 0..{BASIS_POINTS}")
    _require(
        0 <= instrument.settlement_days <= MAX_SETTLEMENT_DAYS,
        f"settlement_days {instrument.settlement_days} is not in 0..{MAX_SETTLEMENT_DAYS}",
    )
    _require(
        instrument.reference_price is None or instrument.reference_price >= 0,
        f"reference_price {instrument.reference_price} is below 0",
    )
    for name, limit in (("price_band", instrument.price_band_bps), ("collar", instrument.collar_bps)):
        _require(limit is None or limit >= 0, f"{name}_bps {limit} is below 0")
    for name, most in (
        ("quantity", instrument.max_order_quantity),
        ("value", instrument.max_order_value),
    ):
        _require(most is None or most >= 0, f"max_order_{name} {most} is below 0: no limit is null")
    _require(instrument.multiplier > 0, f"multiplier {instrument.multiplier} is not above 0")
    _require(instrument.pause_time_ns >= 0, f"pause_time_ns {instrument.pause_time_ns} is below 0")
    _check_tick_table(instrument.tick_table)
    reference_price = instrument.reference_price or 0
    _require(fits(rounded_up(instrument, reference_price)), f"no price is in ticks above {reference_price}")


def _check_tick_table(tick_table: tuple[TickBand, ...]) -> None:
    _require(len(tick_table) <= MAX_TICK_BANDS, f"tick_table has more than {MAX_TICK_BANDS} bands")
    before = Price(0)
    for band in tick_table:
        _require(band.from_price > before, "the bands of tick_table do not rise")
        _require(band.tick_size > 0, f"tick_size {band.tick_size} is not above 0")
        _require(band.from_price % band.tick_size == 0, f"{band.from_price} is no price of its own band")
        before = band.from_price


def _require(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as an assertion
    if not holds:
        raise NotOurs(otherwise)
