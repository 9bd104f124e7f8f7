"""A batch is what Kafka's own readers read: aiokafka's in here, a broker's and librdkafka's in `test_transactions.py`."""

import pytest
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from bourse.streaming.batches import NO_HEADERS, Batch, Batches

PLACE = ("topic", 3)
SOME_BYTES = st.none() | st.binary(max_size=40) | st.binary(max_size=3).map(lambda part: part * 300)


def add(batch: Batch, key: bytes | None, value: bytes | None) -> bool:
    had_room = batch.add(batch.count, batch.time_ms, key, value, NO_HEADERS) is not None
    batch.count += had_room
    return had_room


@given(st.lists(st.tuples(SOME_BYTES, SOME_BYTES), min_size=1, max_size=50), st.integers(0, 2**31 - 1))
def test_what_is_added_is_read_again(records: list[tuple[bytes | None, bytes | None]], sequence: int) -> None:
    batch = Batch(PLACE, 1_000_000)
    for key, value in records:
        assert add(batch, key, value)
    batch.seal((77, 5), sequence)
    several = MemoryRecords(batch.data)
    read = several.next_batch()
    assert read.validate_crc()
    assert read.is_transactional
    assert (read.producer_id, read.producer_epoch, read.base_sequence) == (77, 5, sequence)
    assert [(found.key, found.value) for found in read] == records
    assert {found.timestamp for found in MemoryRecords(batch.data).next_batch()} == {batch.time_ms}
    assert not several.has_next()


def test_records_are_compressed_where_that_makes_them_smaller() -> None:
    small, large = Batch(PLACE, 1_000_000), Batch(PLACE, 1_000_000)
    add(small, b"k", bytes(range(100)))
    for _ in range(100):
        add(large, b"k", bytes(range(100)))
    for batch in (small, large):
        batch.seal((1, 0), 0)
    codecs = [MemoryRecords(batch.data).next_batch().compression_type for batch in (small, large)]
    assert codecs == [DefaultRecordBatch.CODEC_NONE, DefaultRecordBatch.CODEC_LZ4]
    assert len(large.data) < 1_000


def test_a_batch_has_room_for_one_record_of_any_size_and_no_more() -> None:
    batch = Batch(PLACE, 1_000)
    assert add(batch, None, b"v" * 5_000)
    assert not add(batch, None, b"v")


@pytest.mark.parametrize("end", ["goes on", "ends"])
def test_sequences_count_the_records_of_a_partition_within_a_transaction(end: str) -> None:
    batches = Batches(1_000_000)
    for place, count in ((PLACE, 3), (("topic", 4), 1)):
        batch = batches.begin(place)
        for _ in range(count):
            add(batch, b"k", b"v")
        batches.seal(place, (1, 0))
    if end == "ends":
        batches.clear()
    add(batches.begin(PLACE), b"k", b"v")
    again = batches.seal(PLACE, (1, 1))
    assert MemoryRecords(again.data).next_batch().base_sequence == (0 if end == "ends" else 3)
    assert not batches.open
