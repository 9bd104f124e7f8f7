"""The top of a book over a day, drawn in the terminal. Decides dots and axes; knows no topic."""

from collections.abc import Sequence

from rich.text import Text

from bourse.schemas.records import Side

COLUMNS = 72
ROWS = 12
COLOURS = {frozenset((Side.BUY,)): "green", frozenset((Side.SELL,)): "red"}
BOTH = "yellow"
# Unicode's braille patterns: 2 x 4 dots in a cell, each a bit above U+2800.
_CELL_WIDTH, _CELL_HEIGHT = 2, 4
_BITS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_BLANK = 0x2800
_TOP = ROWS * _CELL_HEIGHT - 1
_UNITS = 10_000

Series = Sequence[int | None]
"""A price for each moment that is drawn, in 1/10,000; None where there was none."""


def draw(bids: Series, asks: Series) -> list[Text]:
    """Return the lines of a picture of two series: bids in green, asks in red, prices at the left."""
    prices = [price for price in (*bids, *asks) if price is not None]
    if not prices:
        return []
    low, high = min(prices), max(prices)
    canvas = Canvas(low, high)
    for side, series in ((Side.BUY, bids), (Side.SELL, asks)):
        before = None
        for column, price in enumerate(series):
            if price is not None:
                canvas.stroke(side, column, price if before is None else before, price)
            before = price
    return canvas.lines()


def dots() -> int:
    """Return how many moments a picture shows."""
    return COLUMNS * _CELL_WIDTH


class Canvas:
    """Cells of dots between a lowest and a highest price."""

    def __init__(self, low: int, high: int) -> None:
        """Take the lowest and the highest price, which are the edges."""
        self._low = low
        self._span = max(1, high - low)
        self._cells: dict[tuple[int, int], int] = {}
        self._sides: dict[tuple[int, int], frozenset[Side]] = {}

    def stroke(self, side: Side, column: int, before: int, price: int) -> None:
        """Draw a price, joined to the one before it."""
        first, last = sorted((self._height(before), self._height(price)))
        for height in range(first, last + 1):
            cell = (height // _CELL_HEIGHT, column // _CELL_WIDTH)
            bit = _BITS[column % _CELL_WIDTH][height % _CELL_HEIGHT]
            self._cells[cell] = self._cells.get(cell, 0) | bit
            self._sides[cell] = self._sides.get(cell, frozenset()) | {side}

    def _height(self, price: int) -> int:
        """Return the row of dots of a price, counted from the top."""
        return _TOP - (price - self._low) * _TOP // self._span

    def lines(self) -> list[Text]:
        """Return the picture, each line with the price of its upper edge."""
        return [self._line(row) for row in range(ROWS)]

    def _line(self, row: int) -> Text:
        price = self._low + self._span * (_TOP - row * _CELL_HEIGHT) // _TOP
        line = Text(f"{price / _UNITS:8.2f} ", style="dim")
        for column in range(COLUMNS):
            cell = (row, column)
            colour = COLOURS.get(self._sides.get(cell, frozenset()), BOTH)
            line.append(chr(_BLANK + self._cells.get(cell, 0)), style=colour)
        return line
