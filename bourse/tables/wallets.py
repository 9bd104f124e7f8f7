"""What an account has of each currency and share: available, blocked, unsettled.

Key: account_id/asset. Written by: risk, positions, settlement (through `pipeline.wallets`). Read also by: nobody else.
"""

from bourse.schemas.records import Wallet
from bourse.tables.table import TableSpec

WALLETS = TableSpec("wallets", Wallet, cached=50_000)
