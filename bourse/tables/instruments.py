"""Instruments as announced last.

Key: symbol. Written by: validation. Read also by: risk, matching, positions.
"""

from bourse.schemas.records import Instrument
from bourse.tables.table import TableSpec

INSTRUMENTS = TableSpec("instruments", Instrument, cached=20_000)
