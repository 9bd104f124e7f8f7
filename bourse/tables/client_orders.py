"""Client order ids that were used, to tell a retry from a new order and a cancel from a stranger's.

Key: account_id/client_order_id. Written by: validation. Read also by: nobody else.
"""

from bourse.schemas.records import ClientOrder
from bourse.tables.table import TableSpec

CLIENT_ORDERS = TableSpec("client_orders", ClientOrder, cached=20_000)
