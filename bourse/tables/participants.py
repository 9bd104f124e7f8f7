"""Participants that operators have published: in every partition, as accounts of one may be in any.

Key: participant_id. Written by: validation.
"""

from bourse.schemas.records import Participant
from bourse.tables.table import TableSpec

PARTICIPANTS = TableSpec("participants", Participant, cached=20_000)
"""Cached with those that nobody has published, which are the most: each order asks."""
