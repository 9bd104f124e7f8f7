"""Keys go where Kafka's own clients put them."""

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from bourse.streaming.partitioner import Partitioner, murmur2


@pytest.mark.parametrize(
    ("data", "expected"),
    # org.apache.kafka.common.utils.UtilsTest.testMurmur2 (signed there).
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_is_kafkas(data: bytes, expected: int) -> None:
    assert murmur2(data) == expected & 0xFFFFFFFF


def test_partitions_agree_with_librdkafka(broker: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    topic = f"partitioner-{tmp_path_factory.getbasetemp().name}"
    admin = AdminClient({"bootstrap.servers": broker})
    admin.create_topics([NewTopic(topic, 7, 1)])[topic].result()
    keys = [f"ACC{n}" for n in range(200)] + ["", "é", "a" * 300]
    partition_of = Partitioner(7)
    found: dict[str, int] = {}
    producer = Producer({"bootstrap.servers": broker, "partitioner": "murmur2"})
    for key in keys:
        producer.produce(
            topic, b"", key, on_delivery=lambda _e, m: found.update({m.key().decode(): m.partition()})
        )
    producer.flush()
    assert found == {key: partition_of[key] for key in keys}
