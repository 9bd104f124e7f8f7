"""What accounts of the partition have brought in of each asset, less what they took out.

Key: asset. Written by: risk. Read also by: nobody else.
"""

from bourse.schemas.records import AssetTotal
from bourse.tables.table import TableSpec

ASSET_TOTALS = TableSpec("asset_totals", AssetTotal)
