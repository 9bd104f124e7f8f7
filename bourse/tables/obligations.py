"""What is to be delivered and paid on each date, net for account and symbol.

Key: settlement date/account_id/symbol. Written by: settlement. Read also by: nobody else.
"""

from bourse.schemas.records import Obligation
from bourse.tables.table import TableSpec

OBLIGATIONS = TableSpec("obligations", Obligation, cached=20_000)
