"""How far each topic is handled in what the other rows say, and how hops were carried: a partition is read from there on.

Key: name of the topic in Kafka. Written by: the engine, with every cycle. Read also by: nobody else.
"""

from bourse.schemas.records import SourceOffset
from bourse.tables.table import TableSpec

SOURCE_OFFSETS = TableSpec("source_offsets", SourceOffset)
