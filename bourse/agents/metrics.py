"""What operators watch of the market's work, in Prometheus' terms; touched once per frame, never per record."""

import time

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram

from bourse.pipeline.outputs import Topic
from bourse.streaming.frames import Frame

_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)
_CHECKS = (5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 1e-2)


class StageMetrics:
    """Throughput and latency by stage of one worker, registered in `registry`.

    Latencies are those of the first record of a frame, which has waited longest: from its Kafka timestamp to the
    end of its stage. The commit that makes the result visible comes on top (`commit_duration_seconds`).
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        """Register every metric; a registry takes one worker."""
        self._orders = Counter("order_throughput", "Order messages validated", registry=registry)
        self._processing = Histogram(
            "order_processing_latency_seconds",
            "Order published to validated and checked for risk",
            buckets=_SECONDS,
            registry=registry,
        )
        self._execution = Histogram(
            "trade_execution_latency_seconds",
            "Approved order written to matched",
            buckets=_SECONDS,
            registry=registry,
        )
        self._risk = Histogram(
            "risk_check_duration_seconds",
            "Risk check of one order, mean of its frame",
            buckets=_CHECKS,
            registry=registry,
        )
        self._dead_letters = Counter(
            "dead_letters", "Records that became dead letters", ["stage"], registry=registry
        )

    def observe(self, topic: str, frame: Frame, seconds: float) -> None:
        """Observe that a stage has handled a frame of `topic` in `seconds`."""
        match topic:
            case Topic.ORDERS:
                self._orders.inc(len(frame))
                self._processing.observe(_age(frame))
            case Topic.VALIDATED:
                self._risk.observe(seconds / len(frame))
            case Topic.RISK_APPROVED:
                self._execution.observe(_age(frame))

    def dead_letter(self, stage: str) -> None:
        """Count one dead letter."""
        self._dead_letters.labels(stage).inc()


def _age(frame: Frame) -> float:
    return max(0.0, time.time() - frame.first_timestamp_ms / 1000)
