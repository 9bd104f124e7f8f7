"""A17: the stages once more over the approved messages, in a process of their own, must give the same trades.

It writes down what the books took in while the audit reads it, and compares sums of digests, so that what is kept does not
grow with the trades. It knows nothing of how the stages decide, nor of what the auditor checks.
"""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import IO, Final

from msgspec.structs import replace

from bourse.audit import Entry, Finding, Offence, Result
from bourse.schemas.jsonform import event_line
from bourse.schemas.records import Announcement, ApprovedOrder, Trade

_TRADES: Final = b'{"topic":"trades"'


class Replay:
    """What a replay needs of a log: the messages of the books, and what their trades came to."""

    def __init__(self, file: Path) -> None:
        """Take the file to write down the messages in."""
        self._file = file
        self._output: IO[bytes] = file.open("wb")
        self._trades = _Trades()
        self._announced: set[str] = set()
        self._has_begun = False
        self._has_news = False

    def see(self, entries: Iterator[Entry]) -> Iterator[Entry]:
        """Take note of entries as they pass."""
        for entry in entries:
            match entry.record:
                case ApprovedOrder() as order:
                    self._has_begun = True
                    # In the file it stands elsewhere than in its topic, by which it may be named.
                    named = order if order.event_id else replace(order, event_id=entry.place)
                    self._write(entry, named)
                case Announcement() as announcement:
                    source = announcement.event_id.rpartition("/")[0]
                    if source not in self._announced:
                        self._announced.add(source)
                        self._has_news |= self._has_begun
                        self._write(entry, announcement)
                case Trade() as trade:
                    self._trades.add(trade.symbol, event_line("trades", trade.account_id, trade).strip())
            yield entry

    def _write(self, entry: Entry, record: ApprovedOrder | Announcement) -> None:
        self._output.write(event_line(entry.topic, entry.key, record))

    def finding(self, finding: Finding) -> Finding:
        """Simulate, and return the verdict on A17."""
        self._output.close()
        simulated = _Trades()
        command = [sys.executable, "-m", "bourse.cli.main", "simulate", str(self._file)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: S603 - our own command
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith(_TRADES):
                    simulated.add(json.loads(line)["value"]["symbol"], line.strip())
        legs, different = self._trades.legs(), self._trades.differences(simulated)
        if process.returncode:
            return finding._replace(reason="`bourse simulate` failed on the approved messages")
        if not different:
            result = Result.PASSED if legs else Result.NOT_CHECKED
            return finding._replace(result=result, looked_at=legs, reason=None if legs else "nothing traded")
        if self._has_news:
            reason = "trades differ, but announcements came between orders, and in which order no topic says"
            return finding._replace(looked_at=0, reason=reason)
        first = Offence(f"trades of {different[0]}", None, "simulated again, they are not the same legs")
        return finding._replace(
            result=Result.FAILED, looked_at=legs, offences=len(different), first=first, reason=None
        )


class _Trades:
    """For each symbol the number of its trade legs, and the sum of their digests."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._sums: Counter[str] = Counter()

    def add(self, symbol: str, line: bytes) -> None:
        self._counts[symbol] += 1
        self._sums[symbol] += int.from_bytes(blake2b(line, digest_size=16).digest())

    def legs(self) -> int:
        return self._counts.total()

    def differences(self, other: "_Trades") -> list[str]:
        """Return the symbols of which the two have not the same legs; the two legs of a trade may come in any order."""
        symbols = sorted(self._counts.keys() | other._counts.keys())  # noqa: SLF001 - the same class
        return [
            symbol
            for symbol in symbols
            if (self._counts[symbol], self._sums[symbol]) != (other._counts[symbol], other._sums[symbol])  # noqa: SLF001 - the same class
        ]
