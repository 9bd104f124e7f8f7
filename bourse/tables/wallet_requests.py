"""Request ids of wallet commands that were used.

Key: account_id/request_id. Written by: risk. Read also by: nobody else.
"""

from bourse.schemas.records import WalletRequest
from bourse.tables.table import TableSpec

WALLET_REQUESTS = TableSpec("wallet_requests", WalletRequest, cached=20_000)
