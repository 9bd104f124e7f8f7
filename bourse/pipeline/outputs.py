"""What a stage hands back: records with their topics and keys, numbered as the contract's `event_id`s ask."""

from enum import StrEnum
from typing import TypeAlias

from bourse.schemas import records

Record: TypeAlias = records.Record


class Topic(StrEnum):
    """The topics of the contract, by their names in Kafka."""

    ORDERS = "orders"
    VALIDATED = "validated"
    RISK_APPROVED = "risk-approved"
    TRADES = "trades"
    POSITIONS = "positions"
    SETTLEMENTS = "settlements"
    RELEASES = "releases"
    ORDER_EVENTS = "order-events"
    WALLET_COMMANDS = "wallet-commands"
    WALLET_TRANSACTIONS = "wallet-transactions"
    ACCOUNTS = "accounts"
    PARTICIPANTS = "participants"
    INSTRUMENTS = "instruments"
    CORPORATE_ACTIONS = "corporate-actions"
    SESSIONS = "sessions"
    ANNOUNCEMENTS = "announcements"
    MARKET_DATA = "market-data"
    TAPE = "tape"
    BOOK_UPDATES = "book-updates"
    DEAD_LETTERS = "dead-letters"


BY_KEY = -1

Output: TypeAlias = tuple[Topic, str, Record, int]
"""Topic, key, record and partition; `BY_KEY` lets the key choose the partition, as every stage but the announcer does."""


class Outputs:
    """The outputs of one stage for one input, in order."""

    __slots__ = ("_prefix", "items")

    def __init__(self, cause: str, letter: str) -> None:
        self._prefix = f"{cause}/{letter}"
        self.items: list[Output] = []

    def next_id(self) -> str:
        """Return the `event_id` of the record that is put next."""
        return f"{self._prefix}{len(self.items)}"

    def put(self, topic: Topic, key: str, record: Record, partition: int = BY_KEY) -> None:
        """Add one record; its `event_id` must have been `next_id()` just before."""
        self.items.append((topic, key, record, partition))
