"""Where a simulation's every decision comes from: dice, or a script of what the dice said.

A decision is a number below some bound, and 0 is the dull one: no fault, the next in turn, all there is. Only what is
not 0 is written down, by the number of the decision, so a run is a short script; a decision that is not in the script
is dull. A script that fails can therefore be made shorter by leaving out entries, and each entry is an event that
somebody can read. Hypothesis could draw the decisions too, but a draw of it costs as much as a whole step here.
"""

from collections.abc import Mapping, Sequence
from random import Random


class Choices:
    """Decides by `dice` and writes it down, or by `script` alone."""

    def __init__(self, dice: Random | None = None, script: Mapping[int, int] | None = None) -> None:
        self._random = dice.random if dice else None
        self._script = script or {}
        self.number = 0
        self.made: dict[int, int] = {}
        self.is_quiet = False
        """While this is set every decision is the dull one, and none is counted."""

    def below(self, bound: int) -> int:
        """Return a number from 0 to `bound` - 1."""
        if self.is_quiet:
            return 0
        self.number += 1
        if self._random is None:
            made = self._script.get(self.number, 0) % bound
        else:
            made = int(self._random() * bound)
        if made:
            self.made[self.number] = made
        return made

    def one_of(self, odds: Sequence[float]) -> int:
        """Return 0, or the place (from 1) of one of `odds`, each the chance of its own place."""
        if self.is_quiet:
            return 0
        self.number += 1
        if self._random is None:
            made = self._script.get(self.number, 0) % (len(odds) + 1)
        else:
            made, rest = 0, self._random()
            for place, chance in enumerate(odds, 1):
                if rest < chance:
                    made = place
                    break
                rest -= chance
        if made:
            self.made[self.number] = made
        return made
