"""A toy Faust app on the engine: sums by key (inner hop), then totals under another key (hop through Kafka).

Run as `python -m faust -A toy_app worker` with its settings in TOY_* variables.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faust
import msgspec

from bourse.streaming.carry import Carry
from bourse.streaming.config import EngineConfig, Member
from bourse.streaming.frames import Frame
from bourse.streaming.partitioner import Partitioner
from bourse.streaming.patience import Patience
from bourse.streaming.schema import frame_schema
from bourse.streaming.stores import ChangelogIdentity
from bourse.streaming.transport import configure
from bourse.tables.source_offsets import SOURCE_OFFSETS
from bourse.tables.store import Store
from bourse.tables.table import TableSpec

PREFIX = os.environ["TOY_PREFIX"]
PARTITIONS = int(os.environ["TOY_PARTITIONS"])
NUMBERS, SUMS, ROUTED, TOTALS = (f"{PREFIX}{name}" for name in ("numbers", "sums", "routed", "totals"))


class Sum(msgspec.Struct, frozen=True):
    count: int
    total: int


class JsonCodec:
    def encoder(self, row_type: type[Any]) -> Any:  # noqa: ARG002
        return msgspec.json.encode

    def decoder(self, row_type: type[Any]) -> Any:
        return msgspec.json.Decoder(row_type).decode


def open_store(identity: ChangelogIdentity) -> Store:
    path = Path(os.environ["TOY_DATA"]) / str(identity.partition)
    specs: list[TableSpec[Any]] = [TableSpec("sums", Sum), TableSpec("totals", Sum), SOURCE_OFFSETS]  # type: ignore[type-var]
    return Store(path, identity, specs, JsonCodec())


app = faust.App(
    f"{PREFIX}app",
    broker=f"bourse://{os.environ['TOY_BROKER']}",
    topic_allow_declare=False,
    topic_disable_leader=True,
    web_port=int(os.environ.get("TOY_WEB_PORT", "6066")),
    web_bind="127.0.0.1",
    datadir=os.environ["TOY_DATA"],
)
patience = Patience(Path(os.environ["TOY_DATA"]) / "patience", int(os.environ.get("TOY_TIMEOUT_MS", "10000")))
configure(
    app,
    EngineConfig(
        Member(
            os.environ["TOY_BROKER"],
            f"{PREFIX}group",
            os.environ["TOY_WORKER"],
            patience.timeout_ms,
            patience=patience,
        ),
        partitions=PARTITIONS,
        changelog=f"{PREFIX}changelog",
        topics=[NUMBERS, SUMS, ROUTED],
        open_store=open_store,
        writes=frozenset({SUMS, ROUTED, TOTALS}),
        inner=frozenset({SUMS}),
        crossing=frozenset({ROUTED}),
        carry=Carry(os.environ["TOY_CARRY"]),
        max_records=int(os.environ.get("TOY_MAX_RECORDS", "200")),
    ),
)
partition_of = Partitioner(PARTITIONS)


def add(frame: Frame, table: str, key: str, value: int) -> Sum:
    rows = frame.store.tables[table]  # type: ignore[attr-defined]
    old = rows.get(key) or Sum(0, 0)
    new = Sum(old.count + 1, old.total + value)
    rows.put(key, new)
    return new


SPENDING = {b"compute": lambda: None, b"wait": lambda: time.sleep(0.01)}


def spend(how: Callable[[], None], seconds: float) -> None:
    began = time.monotonic()
    while time.monotonic() < began + seconds:
        how()


@app.agent(app.topic(NUMBERS, schema=frame_schema()))
async def accumulate(frames: Any) -> None:
    async for frame in frames:
        for record in frame:
            if record.value == b"raise":
                msg = "told to"
                raise ValueError(msg)
            what, _, seconds = record.value.partition(b" ")
            if what in SPENDING:
                spend(SPENDING[what], float(seconds))
                continue
            number = int(record.value)
            key = record.key.decode()
            row = add(frame, "sums", key, number)
            value = {
                "id": f"{frame.topic}/{frame.partition}/{record.offset}",
                "number": number,
                "sum": row.total,
            }
            frame.send(SUMS, record.key, json.dumps(value).encode(), frame.partition, passed=value)


@app.agent(app.topic(SUMS, schema=frame_schema()))
async def route(frames: Any) -> None:
    async for frame in frames:
        for record in frame:
            value = record.passed or json.loads(record.value)
            key = f"n{value['number'] % 7}"
            frame.send(ROUTED, key.encode(), json.dumps(value).encode(), partition_of[key], passed=value)


@app.agent(app.topic(ROUTED, schema=frame_schema()))
async def total(frames: Any) -> None:
    async for frame in frames:
        for record in frame:
            value = record.passed or json.loads(record.value)
            row = add(frame, "totals", record.key.decode(), value["number"])
            out = {"id": value["id"], "count": row.count, "total": row.total}
            frame.send(TOTALS, record.key, json.dumps(out).encode(), frame.partition)
