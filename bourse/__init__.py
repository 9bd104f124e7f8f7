"""Bourse: a stock exchange, its brokers' wallets and its clearing house as one exactly-once Kafka stream pipeline."""

__version__ = "0.1.0"
