"""How long a worker lets its transactions last: longer after one that its own work did not fit into.

A broker aborts what is open for longer than its producer announced, which keeps readers from waiting for a worker that is gone.
What a single record causes may take longer than that (a close that a million orders expire with), and would each time that it is
tried again. So the worker that ends for it leaves word for its next start, which announces more.
"""

from contextlib import suppress
from pathlib import Path
from typing import Final

LONGEST_MS: Final = 900_000
"""What brokers allow at most, unless told otherwise (transaction.max.timeout.ms)."""
LONGER: Final = 4
OWN_SHARE: Final = 0.25
"""What a thread computes while a cycle outlasts its transaction, in parts of that time-out; in one that waits it is next to nothing."""


class Patience:
    """The time-out that a worker's transactions have, and a file in which it tells itself that it needs a longer one."""

    def __init__(self, file: Path, usual_ms: int) -> None:
        """Read what the last start has left; what is no number, or below the usual, is nothing."""
        self._file = file
        self.usual_ms = self.timeout_ms = usual_ms
        with suppress(OSError, ValueError):
            self.timeout_ms = max(usual_ms, min(int(file.read_text()), LONGEST_MS))
        self._is_noted = self.timeout_ms > usual_ms

    def ended(self, lasted: float, computed: float) -> bool:
        """Learn how many seconds a cycle lasted that came to nothing, and what was computed in it; return whether more is asked for now."""
        timeout = self.timeout_ms / 1000
        if lasted < timeout or computed < OWN_SHARE * timeout or self.timeout_ms >= LONGEST_MS:
            return False
        # Half written it says nothing, and is learnt again.
        self._file.write_text(str(min(LONGER * self.timeout_ms, LONGEST_MS)))
        return True

    def committed(self, lasted: float) -> bool:
        """Learn how many seconds a cycle lasted that was committed; return whether the usual will do from now on.

        That is when one has needed more: what comes before it is committed sooner, and may be the work of other partitions. The next start goes
        back to the usual in any case, or it is learnt again.
        """
        self._forget()
        if self.timeout_ms == self.usual_ms or lasted * 1000 < self.usual_ms:
            return False
        self.timeout_ms = self.usual_ms
        return True

    def refused(self) -> bool:
        """Learn that brokers do not allow as much; return whether the next start will ask for less."""
        self._forget()
        return self.timeout_ms > self.usual_ms

    def _forget(self) -> None:
        if self._is_noted:
            self._file.unlink(missing_ok=True)
            self._is_noted = False
