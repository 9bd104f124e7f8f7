"""Orders that wait to enter their book: stops for a trade at their price, at-close orders for the closing auction.

Key: symbol/order_id. Written by: matching. Read also by: nobody else.
"""

from bourse.schemas.records import RestingOrder
from bourse.tables.table import TableSpec

WAITING_ORDERS = TableSpec("waiting_orders", RestingOrder, cached=20_000)
