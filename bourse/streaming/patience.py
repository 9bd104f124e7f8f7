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
        self.timeout_ms = usual_ms
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

    def committed(self) -> None:
        """Go back to the usual at the next start: what did not fit has, or something else comes first and it is learnt again."""
        if self._is_noted:
            self._file.unlink(missing_ok=True)
            self._is_noted = False
