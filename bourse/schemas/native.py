"""The pieces of `wire.py` once more, for code that is translated to C: machine integers, and a writer in place of memos.

Only what `translation.py` writes uses them, and only once `make compiled` has translated both: run as Python they are slow.
Decides how one value becomes bytes and back, as `wire.py` does, and the same tests hold both to fastavro. What is wrong with a value
is not said here: whoever catches TypeError, KeyError or OverflowError asks `wire.py` for the words.
"""

import datetime as dt
from collections.abc import Callable
from typing import Final, TypeVar

from librt.strings import BytesWriter
from mypy_extensions import i64, u8

from bourse.schemas.wire import EPOCH_ORDINAL, DecodeError

R = TypeVar("R")

_BITS: Final = 0x7F
_CONTINUES: Final = 0x80
_LAST_SHIFT: Final = 63


def put_long(writer: BytesWriter, number: object) -> None:
    """Write the zigzag varint of an int64."""
    # A bool is an int to Python, and to nobody else. Asked first: once it is known to be an int, C knows no bool.
    if number is True or number is False or not isinstance(number, int):
        raise TypeError
    _put(writer, i64(number))


def _put(writer: BytesWriter, number: i64) -> None:
    zigzag: i64 = (number << 1) ^ (number >> 63)
    # Below zero is what has all of its 64 bits.
    while zigzag < 0 or zigzag > _BITS:
        writer.append(u8((zigzag & _BITS) | _CONTINUES))
        zigzag = (zigzag >> 7) & 0x1FFFFFFFFFFFFFF
    writer.append(u8(zigzag))


def put_string(writer: BytesWriter, text: str) -> None:
    """Write the length and the UTF-8 bytes of a text."""
    encoded = text.encode()
    _put(writer, len(encoded))
    writer.write(encoded)


def put_bytes(writer: BytesWriter, value: bytes) -> None:
    """Write the length and the bytes."""
    _put(writer, len(value))
    writer.write(value)


def put_boolean(writer: BytesWriter, value: object) -> None:
    """Write one byte."""
    if value is False:
        writer.append(u8(0))
    elif value is True:
        writer.append(u8(1))
    else:
        raise TypeError


def get_long(data: bytes, place: i64) -> tuple[i64, i64]:
    """Return the int64 at a place and the place after it; IndexError where the data end first."""
    byte: i64 = data[place]
    place += 1
    zigzag: i64 = byte & _BITS
    shift: i64 = 7
    while byte > _BITS:
        byte = data[place]
        place += 1
        if shift == _LAST_SHIFT and byte > 1:
            message = "a number is longer than 64 bits"
            raise DecodeError(message)
        zigzag |= (byte & _BITS) << shift
        shift += 7
    return ((zigzag >> 1) & 0x7FFFFFFFFFFFFFFF) ^ -(zigzag & 1), place


def get_extent(data: bytes, place: i64) -> tuple[i64, i64]:
    """Return the place where a text or bytes begin and the place after them."""
    length, place = get_long(data, place)
    if length < 0:
        message = "a length is negative"
        raise DecodeError(message)
    # Not their sum: that may be more than a machine integer holds.
    if length > len(data) - place:
        raise IndexError
    return place, place + length


def get_boolean(data: bytes, place: i64) -> bool:
    """Return the boolean at a place; KeyError where the byte is none."""
    byte: i64 = data[place]
    if byte > 1:
        raise KeyError
    return byte == 1


def get_date(data: bytes, place: i64) -> tuple[dt.date, i64]:
    """Return the date at a place and the place after it."""
    days, place = get_long(data, place)
    try:
        return dt.date.fromordinal(days + EPOCH_ORDINAL), place
    except (ValueError, OverflowError) as error:
        message = f"{days} days since the epoch is no date"
        raise DecodeError(message) from error


def get_array(
    data: bytes, place: i64, decode: Callable[[bytes, i64], tuple[R, i64]]
) -> tuple[tuple[R, ...], i64]:
    """Return the items of an array, block by block, and the place after it."""
    items: list[R] = []
    while True:
        count, place = get_long(data, place)
        if count < 0:  # A block with its size in bytes, for readers that skip it.
            count = -count
            _, place = get_long(data, place)
        for _ in range(count):
            item, place = decode(data, place)
            items.append(item)
        if count == 0:
            return tuple(items), place
