"""How far tables have been looked through for rows to purge.

Key: table name. Written by: validation (client_orders), risk (wallet_requests). Read also by: nobody else.
"""

from bourse.schemas.records import Sweep
from bourse.tables.table import TableSpec

SWEEPS = TableSpec("sweeps", Sweep)
