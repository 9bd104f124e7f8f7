"""A worker in miniature: reads `orders` and `trades` in one group, and turns each order into a trade, in transactions.

It commits the offset after the last record that it read, as any consumer does, and never past a transaction's mark.
"""

import threading
from types import TracebackType
from typing import Self

from confluent_kafka import Consumer, Message, Producer, TopicPartition

from bourse.settings import Settings


class ToyWorker(threading.Thread):
    """Runs from `with` to its end; nothing is processed while `paused` is set."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._orders, self._trades = settings.topic("orders"), settings.topic("trades")
        self._ending = threading.Event()
        self.paused = threading.Event()
        self.processed = 0
        self._consumer = Consumer(
            {
                "bootstrap.servers": settings.broker,
                "group.id": settings.group,
                "client.id": "toy",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "partition.assignment.strategy": "range",
            }
        )
        self._producer = Producer({"bootstrap.servers": settings.broker, "transactional.id": settings.group})

    def __enter__(self) -> Self:
        self._producer.init_transactions()
        self._consumer.subscribe([self._orders, self._trades])
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self.join()
        self._consumer.close()

    def run(self) -> None:
        while not self._ending.is_set():
            messages = [] if self.paused.is_set() else self._consumer.consume(50, 0.05)
            if self.paused.is_set():
                self._ending.wait(0.05)
            if messages:
                self._transact(messages)

    def _transact(self, messages: list[Message]) -> None:
        self._producer.begin_transaction()
        for message in messages:
            if message.topic() == self._orders:
                self._producer.produce(self._trades, message.value(), message.key())
        after = {(message.topic(), message.partition()): message.offset() + 1 for message in messages}
        offsets = [TopicPartition(*place, offset) for place, offset in after.items()]
        self._producer.send_offsets_to_transaction(offsets, self._consumer.consumer_group_metadata())
        self._producer.commit_transaction()
        self.processed += len(messages)
