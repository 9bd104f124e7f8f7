"""Phase and business date of each market, as announced last.

Key: market. Written by: validation. Read also by: risk, matching, positions, settlement.
"""

from bourse.schemas.records import MarketState
from bourse.tables.table import TableSpec

MARKETS = TableSpec("markets", MarketState, cached=20_000)
