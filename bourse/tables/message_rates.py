"""How many messages an account with a limit has sent in its latest second.

Key: account_id. Written by: validation. Read also by: nobody else.
"""

from bourse.schemas.records import MessageRate
from bourse.tables.table import TableSpec

MESSAGE_RATES = TableSpec("message_rates", MessageRate)
