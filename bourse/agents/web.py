"""What a worker serves to operators: /health, /ready and /metrics, beside Faust's own pages."""

from collections.abc import Iterator
from typing import Any

import faust
from aiohttp.web import Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bourse.settings import Settings
from bourse.streaming.engine import Engine


class EngineCollector(Collector):
    """What is read off the engine when somebody asks, rather than kept up to date."""

    def __init__(self, app: faust.App, settings: Settings) -> None:
        """Collect from `app`'s engine."""
        self._app = app
        self._settings = settings

    def collect(self) -> Iterator[Metric]:
        """Yield lag by topic and partition, bytes of state by partition, and owned partitions."""
        lag = GaugeMetricFamily(
            "kafka_consumer_lag", "Records between position and end", labels=["topic", "partition"]
        )
        size = GaugeMetricFamily("rocksdb_size_bytes", "State on disk", labels=["partition"])
        engine: Engine | None = self._app.engine
        for (topic, partition), records in (engine.lag() if engine else {}).items():
            lag.add_metric([self._settings.contract_topic(topic), str(partition)], records)
        for partition, store in (dict(engine.stores) if engine else {}).items():
            size.add_metric([str(partition)], store.size_bytes())
        yield lag
        yield size
        yield GaugeMetricFamily(
            "owned_partitions", "Live partitions", value=len(engine.live) if engine else 0
        )


def add_pages(app: faust.App, settings: Settings) -> None:
    """Add the three pages to the worker's web server."""
    REGISTRY.register(EngineCollector(app, settings))

    @app.page("/health")
    async def health(_view: Any, _request: Any) -> Response:  # noqa: ANN401  (Faust's views are untyped)
        return Response(text="ok\n")

    @app.page("/ready")
    async def ready(_view: Any, _request: Any) -> Response:  # noqa: ANN401
        engine: Engine | None = app.engine
        is_ready = engine is not None and engine.is_ready
        return Response(text="ready\n" if is_ready else "not ready\n", status=200 if is_ready else 503)

    @app.page("/metrics")
    async def metrics(_view: Any, _request: Any) -> Response:  # noqa: ANN401
        return Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
