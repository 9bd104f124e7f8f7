"""Key to partition, as Kafka's own Java clients have it (murmur2, sign bit cleared, modulo).

Rule: org.apache.kafka.common.utils.Utils.murmur2 and BuiltInPartitioner.partitionForKey.
"""

_MASK = 0xFFFFFFFF
_SEED = 0x9747B28C
_M = 0x5BD1E995
_MEMO_LIMIT = 200_000


def murmur2(data: bytes) -> int:
    """Return Kafka's 32-bit murmur2 hash of `data`, unsigned."""
    length = len(data)
    h = (_SEED ^ length) & _MASK
    whole = length & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * _M & _MASK
        k = (k ^ (k >> 24)) * _M & _MASK
        h = (h * _M & _MASK) ^ k
    if whole != length:
        h = (h ^ int.from_bytes(data[whole:], "little")) * _M & _MASK
    h = (h ^ (h >> 13)) * _M & _MASK
    return h ^ (h >> 15)


class Partitioner(dict[str, int]):
    """Memoised map from key to partition; `partitioner["ACC-1"]` is that key's partition."""

    def __init__(self, partitions: int) -> None:
        """Partition keys over `partitions` partitions (at least 1)."""
        super().__init__()
        self.partitions = partitions

    def __missing__(self, key: str) -> int:
        if len(self) >= _MEMO_LIMIT:
            self.clear()
        partition = (murmur2(key.encode()) & 0x7FFFFFFF) % self.partitions
        self[key] = partition
        return partition
