"""Holdings with their exact cost and realised profit.

Key: account_id/symbol. Written by: positions. Read also by: nobody else.
"""

from bourse.schemas.records import Position
from bourse.tables.table import TableSpec

POSITIONS = TableSpec("positions", Position, cached=50_000)
