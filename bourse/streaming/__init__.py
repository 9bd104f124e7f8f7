"""The engine: Faust agents over frames of records, one Kafka transaction per cycle.

This room decides how records are delivered exactly once. It refuses to know what they mean: it imports nothing
of the market, and its own tests run it on toy agents.
"""
