"""Sequence and last price of each book.

Key: symbol. Written by: matching. Read also by: nobody else.
"""

from bourse.schemas.records import BookState
from bourse.tables.table import TableSpec

BOOKS = TableSpec("books", BookState, cached=20_000)
