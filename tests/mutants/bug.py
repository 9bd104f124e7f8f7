"""A bug that somebody could have written, as replacements of text in the code, to be found.

A bug is planted in a copy of the project and looked for by the simulator, seed by seed; by a test of client
settings where the Kafka in memory does not know the setting; or on a real broker, where it is in what stands in for one there. Where code changes and a text here no longer fits,
`test_bugs.py` says so: say the same bug in the new words, and see with `make mutants BUG=name` that it is found.
"""

from dataclasses import dataclass
from typing import Final

SIMULATOR: Final = "simulator"
SETTINGS: Final = "tests/streaming/test_client_settings.py"
BROKER: Final = "tests/streaming/test_transactions.py"


@dataclass(frozen=True, slots=True)
class Bug:
    """A planted bug: each text in `file` that is there once, with what stands in its place."""

    name: str
    file: str
    changes: tuple[tuple[str, str], ...]
    found_by: str = SIMULATOR

    def planted(self, source: str) -> str:
        """Return the source with the bug in it; ValueError where a text does not fit any more."""
        for before, after in self.changes:
            if source.count(before) != 1:
                msg = f"{self.name}: {self.file} has this text {source.count(before)} times, not once:\n{before}"
                raise ValueError(msg)
            source = source.replace(before, after)
        return source


def bug(name: str, file: str, *texts: str, found_by: str = SIMULATOR) -> Bug:
    """Return a bug: texts of a file, each followed by what stands in its place."""
    return Bug(name, file, tuple(zip(texts[::2], texts[1::2], strict=True)), found_by)
