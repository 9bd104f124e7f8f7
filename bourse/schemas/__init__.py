"""The words: what every topic and table row says, in which unit, and how it becomes bytes.

The `.avsc` files in `avsc/` are the one source of truth; `records.py` is generated from them. This room decides names,
units, defaults and bytes. It refuses to know what a record leads to, which topic carries it, and who reads it.
"""
