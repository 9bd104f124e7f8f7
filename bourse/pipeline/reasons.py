"""Why something was refused: one list of codes in order of precedence, banded by the stage that decides.

When several apply, the first in this order is the one reported. The detail for people goes into the event's `text`.
"""

from enum import StrEnum
from typing import NamedTuple


class Reason(StrEnum):
    """The refusal codes, the most fundamental first."""

    # Any stage: may this request be read at all, and is it new?
    MALFORMED_ID = "MALFORMED_ID"
    UNKNOWN_ACCOUNT = "UNKNOWN_ACCOUNT"
    ACCOUNT_SUSPENDED = "ACCOUNT_SUSPENDED"
    ACCOUNT_CLOSED = "ACCOUNT_CLOSED"
    TOO_MANY_MESSAGES = "TOO_MANY_MESSAGES"
    RETRY = "RETRY"
    DUPLICATE_CLIENT_ORDER_ID = "DUPLICATE_CLIENT_ORDER_ID"
    DUPLICATE_REQUEST = "DUPLICATE_REQUEST"
    DUPLICATE_ORDER_ID = "DUPLICATE_ORDER_ID"

    # Validation: what the request points at.
    UNKNOWN_SYMBOL = "UNKNOWN_SYMBOL"
    UNKNOWN_ORDER = "UNKNOWN_ORDER"
    TARGET_MISMATCH = "TARGET_MISMATCH"
    SYMBOL_DELISTED = "SYMBOL_DELISTED"
    SYMBOL_EXPIRED = "SYMBOL_EXPIRED"
    SYMBOL_HALTED = "SYMBOL_HALTED"
    MARKET_HALTED = "MARKET_HALTED"
    MARKET_CLOSED = "MARKET_CLOSED"
    WRONG_PHASE = "WRONG_PHASE"

    # Validation: what the request says.
    INVALID_INSTRUCTION = "INVALID_INSTRUCTION"
    INVALID_EXPIRE_TIME = "INVALID_EXPIRE_TIME"
    MISSING_SIDE = "MISSING_SIDE"
    INVALID_QUANTITY = "INVALID_QUANTITY"
    WRONG_LOT = "WRONG_LOT"
    ABOVE_MAX_QUANTITY = "ABOVE_MAX_QUANTITY"
    INVALID_DISPLAY_QUANTITY = "INVALID_DISPLAY_QUANTITY"
    MISSING_PRICE = "MISSING_PRICE"
    INVALID_PRICE = "INVALID_PRICE"
    WRONG_TICK = "WRONG_TICK"
    OUTSIDE_BAND = "OUTSIDE_BAND"
    NO_REFERENCE_PRICE = "NO_REFERENCE_PRICE"
    VALUE_OVERFLOW = "VALUE_OVERFLOW"
    ABOVE_MAX_VALUE = "ABOVE_MAX_VALUE"

    # Risk: what the account's other orders and holdings allow.
    GROUP_SPANS_SYMBOLS = "GROUP_SPANS_SYMBOLS"
    TOO_MANY_OPEN_ORDERS = "TOO_MANY_OPEN_ORDERS"
    ABOVE_MAX_POSITION = "ABOVE_MAX_POSITION"
    ABOVE_MAX_CONCENTRATION = "ABOVE_MAX_CONCENTRATION"

    # Risk: what the account can pay for.
    INVALID_AMOUNT = "INVALID_AMOUNT"
    BALANCE_OVERFLOW = "BALANCE_OVERFLOW"
    INSUFFICIENT_BALANCE = "INSUFFICIENT_BALANCE"
    INSUFFICIENT_CASH = "INSUFFICIENT_CASH"
    INSUFFICIENT_SHARES = "INSUFFICIENT_SHARES"

    # Risk and matching: whether the order is still there.
    ORDER_FINISHED = "ORDER_FINISHED"
    TOO_MANY_REPLACES = "TOO_MANY_REPLACES"
    NOTHING_TO_CANCEL = "NOTHING_TO_CANCEL"

    # Matching: what the book makes of it.
    BAND_BREACHED = "BAND_BREACHED"
    POST_ONLY_WOULD_TAKE = "POST_ONLY_WOULD_TAKE"
    FOK_NOT_FILLABLE = "FOK_NOT_FILLABLE"
    SELF_TRADE_PREVENTED = "SELF_TRADE_PREVENTED"
    BEYOND_COLLAR = "BEYOND_COLLAR"
    OCO_SIBLING_FILLED = "OCO_SIBLING_FILLED"


class Refusal(NamedTuple):
    """The code of a refusal, and what to tell people."""

    reason: Reason
    text: str
