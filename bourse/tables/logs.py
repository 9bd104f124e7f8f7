"""Whether RocksDB may be handed the logs of a store: its manifest, which lists families and files, and what was written ahead.

RocksDB finds most damage by itself, but (in rocksdict 0.3.29) not this:

- A record of a manifest that reaches beyond what is there is taken for one that it was writing when it died, and those before it for
  all there are: a length with one wrong bit makes families and files vanish without an error.
- A type that is only written to files which are used again, in a file that is not: it reads for ever, within one call that nothing ends.

What SIGKILL leaves behind of a manifest ends with a whole record, and a store that only might be damaged is rebuilt: so each record has to be
right up to the last byte. Of what was written ahead the end may be missing, as after a crash of the machine; there RocksDB itself stops at
the first record that is wrong.

The format: https://github.com/facebook/rocksdb/wiki/Write-Ahead-Log-File-Format
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from aiokafka.record.util import calc_crc32c

_BLOCK: Final = 32_768
_HEADER: Final = 7  # Checksum (4 bytes), length (2, little end first), type.
_MASK: Final = 0xA282EAD8
_OF_FILES_USED_AGAIN: Final = frozenset({5, 6, 7, 8, 11, 131})


class _Record(NamedTuple):
    type: int
    is_whole: bool


def may_be_opened(folder: Path) -> bool:
    """Say whether RocksDB will open the store in `folder`, or say what is wrong with it; so it does where there is nothing."""
    try:
        manifest = folder / (folder / "CURRENT").read_text().strip()
    except (OSError, ValueError):
        return True
    return all(record.is_whole for record in _records(_content(manifest))) and not any(
        record.type in _OF_FILES_USED_AGAIN
        for ahead in folder.glob("*.log")
        for record in _records(_content(ahead))
    )


def _content(file: Path) -> bytes:
    """Return what is in a file; nothing where it cannot be read, of which RocksDB says what is wrong. The others are looked at all the same."""
    try:
        return file.read_bytes()
    except (OSError, ValueError):
        return b""


def _records(content: bytes) -> Iterator[_Record]:
    """Yield the records of a log, up to the first that is not whole."""
    place = 0
    while place < len(content):
        left = _BLOCK - place % _BLOCK
        if left < _HEADER:  # too little for a header: the rest of the block is empty
            place += left
            continue
        checksum, length = _number(content, place, 4), _number(content, place + 4, 2)
        end = place + _HEADER + length
        record = content[place + 6 : end]
        is_whole = (
            _HEADER + length <= min(left, len(content) - place) and _masked(calc_crc32c(record)) == checksum
        )
        yield _Record(record[0] if record else 0, is_whole)
        if not is_whole:
            return
        place = end


def _number(content: bytes, place: int, size: int) -> int:
    return int.from_bytes(content[place : place + size], "little")


def _masked(checksum: int) -> int:
    """Return a checksum as it is stored: turned around, as a checksum of what has checksums in it would be worth little."""
    return ((checksum >> 15 | checksum << 17) + _MASK) & 0xFFFF_FFFF
