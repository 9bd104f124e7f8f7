"""What a text from outside may look like: an id is 1 to 64 printable ASCII characters. Refuses to know whose it is."""

import re
from typing import Final

MAX_LENGTH: Final = 64
MAX_REMARK_LENGTH: Final = 200
_is_id = re.compile(r"[!-~]{1,64}").fullmatch
_is_name = re.compile(r"[!-.0-~]{1,64}").fullmatch
_is_currency = re.compile(r"[A-Z]{3}").fullmatch
_control = re.compile(r"[^ -~]")


def is_id(text: str) -> bool:
    """Say whether a text can be a client order id or request id: no space, no control character, no other alphabet."""
    return _is_id(text) is not None


def is_name(text: str) -> bool:
    """Say whether a text can be an account, symbol, asset or market: an id without a slash, which parts table keys."""
    return _is_name(text) is not None


def is_currency(text: str) -> bool:
    """Say whether a text has the form of a currency's code: three capital letters [ISO 4217]."""
    return _is_currency(text) is not None


def are_remarks(*texts: str) -> bool:
    """Say whether texts that key nothing are short enough to be kept, and copied with what they belong to."""
    return all(len(text) <= MAX_REMARK_LENGTH for text in texts)


def clipped(text: str) -> str:
    """Return a text from outside in a form that is safe to show: short, and without control characters."""
    return _control.sub("?", text[:MAX_LENGTH])
