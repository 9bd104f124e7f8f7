"""The Avro pieces that generated encoders and decoders are made of: numbers, text, dates, and memos of them.

Decides how one value becomes bytes and back, and what is refused: nothing outside int64, no text that is not UTF-8, no
number longer than its type. Refuses to know records and schemas.

A memo is a dict that encodes (or decodes) a value the first time and remembers it; most values of an exchange repeat
(accounts, symbols, prices, the time that all outputs of one message share). It forgets everything at its limit, and
never remembers long text, so its memory is bounded.
"""

import datetime as dt
from collections.abc import Callable
from typing import Final, TypeVar

MEMO_LIMIT: Final = 100_000
TIME_MEMO_LIMIT: Final = 10_000  # Times repeat within what one message causes, and then never again.
MEMO_BYTES: Final = 64
EPOCH_ORDINAL: Final = dt.date(1970, 1, 1).toordinal()
NULL: Final = b"\x00"
PRESENT: Final = b"\x02"
TIME_BYTES: Final = 9  # What a time between 1971 and 2116 takes.
DATE_BYTES: Final = 3  # What a date between 1992 and 4840 takes.
K = TypeVar("K")
R = TypeVar("R")

_CONTINUES: Final = 0x80
_BITS: Final = 0x7F
_LONGEST_VARINT: Final = 10
_PAIR: Final = (1 << 14) - 1
# A varint is written two bytes (14 bits) at a time: pairs that go on, then one or two bytes that end it.
GOES_ON: Final = tuple(bytes((n & _BITS | _CONTINUES, n >> 7 | _CONTINUES)) for n in range(_PAIR + 1))
ENDS: Final = tuple(
    bytes((n,)) if n < _CONTINUES else bytes((n & _BITS | _CONTINUES, n >> 7)) for n in range(_PAIR + 1)
)


class DecodeError(ValueError):
    """Bytes that are not a record of the type expected; the text says why."""


class EncodeError(ValueError):
    """A value that the schema cannot carry; the text names the field."""


def encode_long(number: int) -> bytes:
    """Return the zigzag varint of an int64."""
    if number.__class__ is not int:
        message = f"{number!r} is not a whole number"
        raise EncodeError(message)
    zigzag = number << 1 if number >= 0 else ~(number << 1)
    # Unrolled by size: balances take four or five pairs, and a loop costs as much again as the pairs.
    if zigzag <= _PAIR:
        return ENDS[zigzag]
    if zigzag < 1 << 28:
        return GOES_ON[zigzag & _PAIR] + ENDS[zigzag >> 14]
    if zigzag < 1 << 42:
        return GOES_ON[zigzag & _PAIR] + GOES_ON[zigzag >> 14 & _PAIR] + ENDS[zigzag >> 28]
    if zigzag >= 1 << 64:
        message = f"{number} does not fit in 64 bits"
        raise EncodeError(message)
    piece = GOES_ON[zigzag & _PAIR] + GOES_ON[zigzag >> 14 & _PAIR] + GOES_ON[zigzag >> 28 & _PAIR]
    zigzag >>= 42
    return piece + (ENDS[zigzag] if zigzag <= _PAIR else GOES_ON[zigzag & _PAIR] + ENDS[zigzag >> 14])


def encode_string(text: object) -> bytes:
    """Return the length and the UTF-8 bytes of a text."""
    if not isinstance(text, str):
        message = f"{text!r} is not a text"
        raise EncodeError(message)
    encoded = text.encode()
    return encode_long(len(encoded)) + encoded


def encode_bytes(value: object) -> bytes:
    """Return the length and the bytes."""
    if not isinstance(value, bytes):
        message = f"{value!r} is not bytes"
        raise EncodeError(message)
    return encode_long(len(value)) + value


def encode_date(day: dt.date) -> bytes:
    """Return the days since the epoch as a varint."""
    if day.__class__ is not dt.date:
        message = f"{day!r} is not a date"
        raise EncodeError(message)
    return encode_long(day.toordinal() - EPOCH_ORDINAL)


def encode_array(items: tuple[R, ...], encode: Callable[[R], bytes]) -> bytes:
    """Return one block of items and the end of the array."""
    if items.__class__ is not tuple:
        message = f"{items!r} is not a tuple"
        raise EncodeError(message)
    if not items:
        return NULL
    return encode_long(len(items)) + b"".join(map(encode, items)) + NULL


class Pieces(dict[K, bytes]):
    """Memo: a value to its bytes; of a nullable field, with the union branch before them."""

    def __init__(self, encode: Callable[[K], bytes], limit: int = MEMO_LIMIT) -> None:
        super().__init__()
        self._encode = encode
        self._limit = limit

    def __missing__(self, value: K) -> bytes:
        """Encode and remember."""
        piece = self._encode(value)
        if len(piece) <= MEMO_BYTES:
            if len(self) >= self._limit:
                self.clear()
            self[value] = piece
        return piece


def nullable(encode: Callable[[K], bytes]) -> Callable[[K | None], bytes]:
    """Return the encoder of `["null", T]` for an encoder of T."""

    def encode_nullable(value: K | None) -> bytes:
        return NULL if value is None else PRESENT + encode(value)

    return encode_nullable


def decode_long(data: bytes, start: int) -> tuple[int, int]:
    """Return the int64 at a place and the place after it; IndexError where the data end first."""
    zigzag = shift = 0
    for place in range(start, start + _LONGEST_VARINT):
        byte = data[place]
        zigzag |= (byte & _BITS) << shift
        if byte < _CONTINUES:
            if zigzag >> 64:
                break
            return (zigzag >> 1) ^ -(zigzag & 1), place + 1
        shift += 7
    message = "a number is longer than 64 bits"
    raise DecodeError(message)


def _extent(data: bytes, start: int) -> tuple[int, int]:
    """Return the place where a text or bytes begin and the place after them."""
    length, place = decode_long(data, start)
    if length < 0:
        message = "a length is negative"
        raise DecodeError(message)
    if place + length > len(data):
        raise IndexError
    return place, place + length


def decode_string(data: bytes, start: int) -> tuple[str, int]:
    """Return the text at a place and the place after it."""
    begin, end = _extent(data, start)
    return data[begin:end].decode(), end


def decode_bytes(data: bytes, start: int) -> tuple[bytes, int]:
    """Return the bytes at a place and the place after them."""
    begin, end = _extent(data, start)
    return data[begin:end], end


def decode_array(
    data: bytes, place: int, decode: Callable[[bytes, int], tuple[R, int]]
) -> tuple[tuple[R, ...], int]:
    """Return the items of an array, block by block, and the place after it."""
    items: list[R] = []
    while True:
        count, place = decode_long(data, place)
        if count < 0:  # A block with its size in bytes, for readers that skip it.
            count = -count
            _, place = decode_long(data, place)
        for _ in range(count):
            item, place = decode(data, place)
            items.append(item)
        if count == 0:
            return tuple(items), place


def decode_date(data: bytes, start: int) -> tuple[dt.date, int]:
    """Return the date at a place and the place after it."""
    days, place = decode_long(data, start)
    try:
        return dt.date.fromordinal(EPOCH_ORDINAL + days), place
    except (ValueError, OverflowError) as error:
        message = f"{days} days since the epoch is no date"
        raise DecodeError(message) from error


class Strings(dict[bytes, str]):
    """Memo: UTF-8 bytes to the text, so that equal texts are one object with its hash ready."""

    def __init__(self, limit: int = MEMO_LIMIT) -> None:
        super().__init__()
        self._limit = limit

    def __missing__(self, encoded: bytes) -> str:
        """Decode and remember."""
        text = encoded.decode()
        if len(self) >= self._limit:
            self.clear()
        self[encoded] = text
        return text


class Windows(dict[bytes, K | None]):
    """Memo: so many bytes to what they say; None for bytes that are not exactly one number of that length."""

    def __init__(
        self, length: int, decode: Callable[[bytes, int], tuple[K, int]], limit: int = MEMO_LIMIT
    ) -> None:
        super().__init__()
        self._length = length
        self._decode = decode
        self._limit = limit

    def __missing__(self, window: bytes) -> K | None:
        """Decode and remember."""
        if len(window) != self._length or window[-1] >= _CONTINUES or min(window[:-1]) < _CONTINUES:
            return None
        if len(self) >= self._limit:
            self.clear()
        self[window] = value = self._decode(window, 0)[0]
        return value
