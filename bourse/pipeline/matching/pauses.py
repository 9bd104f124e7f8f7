"""Pauses: trading stops by itself where a trade would leave the price band, and goes on after a time.

Where the instrument asks for a volatility auction the pause is a call: the book collects orders, beginning with what is
left of the one that began it, and uncrosses at its end; once more as long if the price would still be outside of the band.
Decides when a pause begins and ends; refuses to know what an auction does.
"""

from typing import Final

from msgspec.structs import replace

from bourse.pipeline.matching.auction import uncrossing
from bourse.pipeline.matching.turn import Turn
from bourse.pipeline.money import saturated
from bourse.schemas.records import SessionKind
from bourse.schemas.units import TimeNs

MAX_EXTENSIONS: Final = 1
"""How often a call may be extended; then it uncrosses at whatever price its orders make."""


def begin(turn: Turn) -> None:
    """Pause trading for as long as the instrument says."""
    _remember(turn, _end_time(turn), is_collecting=turn.memory.volatility_auction)


def end(turn: Turn) -> None:
    """Let trading go on; nothing where it does not pause."""
    if turn.is_paused():
        _remember(turn, None)


def end_or_extend(turn: Turn) -> None:
    """End a pause whose time is over, or extend the call whose price would be outside of the band."""
    extensions = turn.memory.pause_extensions
    if extensions < MAX_EXTENSIONS and _is_outside(turn):
        _remember(turn, _end_time(turn), is_collecting=True, extensions=extensions + 1)
    else:
        end(turn)


def _is_outside(turn: Turn) -> bool:
    """Say whether the book collects orders that could uncross now, but outside of the band."""
    if turn.session_phase is not SessionKind.OPEN or not turn.memory.is_collecting:
        return False
    found = uncrossing(turn.book, turn.reference_price())
    lowest, highest = turn.band()
    return found is not None and not lowest <= found.price <= highest


def _end_time(turn: Turn) -> TimeNs:
    return TimeNs(saturated(turn.clock_ns() + max(0, turn.memory.pause_time_ns)))


def _remember(
    turn: Turn, until_ns: TimeNs | None, *, is_collecting: bool = False, extensions: int = 0
) -> None:
    turn.memory = replace(
        turn.memory,
        paused_until_time_ns=until_ns,
        is_collecting=is_collecting,
        pause_extensions=extensions,
    )
    turn.enter_phase(turn.session_phase)
    turn.market_data.is_full = True
