"""What operators watch of the engine, in Prometheus' terms; touched once per frame or cycle, never per record."""

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_RECORDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


class EngineMetrics:
    """Counters and histograms of one worker's engine, registered in `registry`."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        """Register every metric; a registry takes one engine."""
        self._cycles = Histogram(
            "cycle_duration_seconds", "Poll to commit of one cycle", buckets=_SECONDS, registry=registry
        )
        self._commits = Histogram(
            "commit_duration_seconds",
            "Changelog writes, offsets and commit",
            buckets=_SECONDS,
            registry=registry,
        )
        self._frames = Histogram(
            "frame_records", "Records per frame", ["topic"], buckets=_RECORDS, registry=registry
        )
        self._records = Counter("consumed_records", "Records polled from Kafka", registry=registry)
        self._aborted = Counter("aborted_transactions", "Cycles that did not commit", registry=registry)
        self._restored = Counter("restored_rows", "Changelog records applied to stores", registry=registry)
        self._remaining = Gauge(
            "restore_remaining_offsets",
            "Changelog offsets still to restore",
            ["partition"],
            registry=registry,
        )

    def cycle(self, seconds: float, commit_seconds: float, records: int) -> None:
        """Observe one committed cycle."""
        self._cycles.observe(seconds)
        self._commits.observe(commit_seconds)
        self._records.inc(records)

    def frame(self, topic: str, records: int) -> None:
        """Observe one frame handled by an agent."""
        self._frames.labels(topic).observe(records)

    def aborted(self) -> None:
        """Count a cycle that ended without a commit."""
        self._aborted.inc()

    def restored(self, partition: int, rows: int, remaining: int) -> None:
        """Observe progress of a restoration."""
        self._restored.inc(rows)
        self._remaining.labels(str(partition)).set(remaining)
