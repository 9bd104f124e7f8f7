"""Accounts as operators published them last.

Key: account_id. Written by: validation. Read also by: risk.
"""

from bourse.schemas.records import Account
from bourse.tables.table import TableSpec

ACCOUNTS = TableSpec("accounts", Account, cached=20_000)
