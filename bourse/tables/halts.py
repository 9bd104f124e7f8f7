"""Halts in force.

Key: market or market/symbol. Written by: validation. Read also by: matching.
"""

from bourse.schemas.records import Halt
from bourse.tables.table import TableSpec

HALTS = TableSpec("halts", Halt, cached=20_000)
