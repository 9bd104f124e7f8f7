"""Every planted bug."""

from typing import Final

from tests.mutants import of_the_engine, of_the_market

BUGS: Final = (*of_the_engine.BUGS, *of_the_market.BUGS)
