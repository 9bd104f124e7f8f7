"""The toy app on Faust as it comes: the same three agents, tables and topics, with aiokafka and Faust's own changelogs.

Run as `python -m faust -A tests.faults.stock_app worker`, with the settings of `tests/streaming/toy_app.py`.
"""

import json
import os
from typing import Any

import faust

PREFIX = os.environ["TOY_PREFIX"]
PARTITIONS = int(os.environ["TOY_PARTITIONS"])
NUMBERS, SUMS, ROUTED, TOTALS = (f"{PREFIX}{name}" for name in ("numbers", "sums", "routed", "totals"))

app = faust.App(
    f"{PREFIX}stock",
    broker=f"kafka://{os.environ['TOY_BROKER']}",
    value_serializer="raw",
    topic_partitions=PARTITIONS,
    topic_disable_leader=True,
    datadir=os.environ["TOY_DATA"],
    store="memory://",
    # As long as the engine's own, so that a ghost is missed as soon.
    broker_session_timeout=6.0,
    broker_heartbeat_interval=1.5,
)
counts = app.Table("counts", default=int, partitions=PARTITIONS)
totals = app.Table("totals", default=int, partitions=PARTITIONS)


@app.agent(app.topic(NUMBERS))
async def accumulate(stream: Any) -> None:
    async for event in stream.events():
        place = event.message
        number = int(event.value)
        value = {"id": f"{place.topic}/{place.partition}/{place.offset}", "number": number}
        await event.forward(app.topic(SUMS), value=json.dumps(value).encode())


@app.agent(app.topic(SUMS))
async def route(stream: Any) -> None:
    async for event in stream.events():
        key = f"n{json.loads(event.value)['number'] % 7}"
        await event.forward(app.topic(ROUTED), key=key.encode(), value=event.value)


@app.agent(app.topic(ROUTED))
async def total(stream: Any) -> None:
    async for event in stream.events():
        value, key = json.loads(event.value), event.key.decode()
        counts[key] += 1
        totals[key] += value["number"]
        out = {"id": value["id"], "count": counts[key], "total": totals[key]}
        await event.forward(app.topic(TOTALS), value=json.dumps(out).encode())
