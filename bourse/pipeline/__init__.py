"""The decisions of the market, pure: state in, record in, records and new state out.

Time comes in the record, ids derive from the input's position, and nothing here knows of Kafka, files or clocks.
"""
