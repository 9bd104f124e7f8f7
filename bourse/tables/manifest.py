"""Whether the manifest of a RocksDB, its list of families and files, can be read to its end.

RocksDB takes a record that reaches beyond what is there for one that it was writing when it died, and goes on with those
before it: a length with one wrong bit makes families and files vanish without an error. What it leaves behind after SIGKILL
ends with a whole record, and a store that only might be damaged is rebuilt, so nothing of that kind is taken here.

The format: https://github.com/facebook/rocksdb/wiki/Write-Ahead-Log-File-Format (checksums are for RocksDB to see to).
"""

from pathlib import Path
from typing import Final

_BLOCK: Final = 32_768
_HEADER: Final = 7  # Checksum (4 bytes), length (2, little end first), type.


def is_whole(folder: Path) -> bool:
    """Say whether the records of the manifest that `folder` names follow each other up to its last byte; so they do where there is none."""
    try:
        name = (folder / "CURRENT").read_text().strip()
        content = (folder / name).read_bytes()
    except (OSError, ValueError):
        return True  # RocksDB itself says what is wrong, or begins
    place = 0
    while place < len(content):
        left = _BLOCK - place % _BLOCK
        if left < _HEADER:  # too little for a header: the rest of the block is empty
            place += left
            continue
        length = int.from_bytes(content[place + 4 : place + 6], "little")
        if _HEADER + length > min(left, len(content) - place):
            return False
        place += _HEADER + length
    return True
