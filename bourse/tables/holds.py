"""What each live order has blocked, to the last unit.

Key: account_id/order_id. Written by: risk, positions. Read also by: nobody else.
"""

from bourse.schemas.records import Hold
from bourse.tables.table import TableSpec

HOLDS = TableSpec("holds", Hold, cached=50_000)
