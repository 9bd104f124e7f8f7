"""How far each topic is handled in what the other rows say, which the group's offsets in Kafka must not be behind.

Key: name of the topic in Kafka. Written by: the engine, with every cycle. Read also by: nobody else.
"""

from bourse.schemas.records import SourceOffset
from bourse.tables.table import TableSpec

SOURCE_OFFSETS = TableSpec("source_offsets", SourceOffset)
