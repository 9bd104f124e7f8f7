"""What is remembered: one file per table, and the store that keeps them (RocksDB behind a changelog).

This room decides how rows are kept, cached, undone and brought back. What the rows mean is `pipeline`'s.
"""
