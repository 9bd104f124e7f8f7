"""The books: one row for each resting order.

Key: symbol/order_id. Written by: matching. Read also by: nobody else.
"""

from bourse.schemas.records import RestingOrder
from bourse.tables.table import TableSpec

RESTING_ORDERS = TableSpec("resting_orders", RestingOrder, cached=20_000)
