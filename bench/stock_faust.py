"""The same chain of hops on Faust as it comes (aiokafka, at least once): what an order costs without the engine.

Five agents in sequence, each decoding the record, writing one row of a changelogged table and sending one record on:
less than Bourse's stages do, and without their guarantees. Right after it the same market goes through Bourse, one worker each.

`python -m bench stock_faust [--orders N] [--compiled]`
"""

import argparse
import itertools
import os
import subprocess
import sys
import time

import faust
from confluent_kafka.admin import AdminClient, NewTopic

from bench import throughput
from bench.orders import market, orders
from bench.stack import Stack, add_code_option, stack
from bourse.agents.wire import Wire
from bourse.schemas.codec import Codec
from bourse.schemas.ids import LocalIds
from bourse.schemas.records import Order

HOPS = (
    "stock-orders",
    "stock-validated",
    "stock-approved",
    "stock-trades",
    "stock-positions",
    "stock-settlements",
)
PARTITIONS = 2
_TIMES_AS_MANY = 20
"""So that both take about as long."""


def create_app() -> faust.App:
    """Return the stock app; the broker is that of the environment."""
    app = faust.App(
        "stock",
        broker=f"kafka://{os.environ.get('BOURSE_BROKER', '127.0.0.1:9092')}",
        value_serializer="raw",
        topic_partitions=PARTITIONS,
        topic_disable_leader=True,
        web_enabled=False,
        datadir=os.environ.get("STOCK_DATA", "/tmp/stock-faust"),  # noqa: S108 - replaced by the measurement
        store="memory://",
    )
    decode = Codec(LocalIds()).decoder(Order)
    for place, (source, target) in enumerate(itertools.pairwise(HOPS)):
        _add_agent(app, place, app.topic(source), app.topic(target), decode)
    return app


def _add_agent(app: faust.App, place: int, source: object, target: object, decode: object) -> None:
    table = app.Table(f"rows-{place}", default=int, partitions=PARTITIONS)

    @app.agent(source, name=f"hop-{place}")
    async def hop(stream: object) -> None:
        async for event in stream.events():  # type: ignore[attr-defined]
            order = decode(event.value)  # type: ignore[operator]
            table[order.account_id] += 1
            await target.send(key=event.key, value=event.value)  # type: ignore[attr-defined]


app = create_app()


def preload(made: Stack, count: int) -> None:
    """Publish orders to the first topic."""
    encode, producer = (
        Wire(made.settings).encoders[Order],
        made.producer(compression="none"),
    )  # stock Faust brings no codec
    flow = orders(market(PARTITIONS))
    for _ in range(count):
        order = next(flow)
        producer.produce(HOPS[0], encode(order), order.account_id)
        producer.poll(0)
    producer.flush()


def run(count: int) -> float:
    """Return orders a second from the first topic to the last."""
    with stack(partitions=PARTITIONS) as made:
        admin = AdminClient({"bootstrap.servers": made.settings.broker})
        for created in admin.create_topics([NewTopic(topic, PARTITIONS, 1) for topic in HOPS]).values():
            created.result()
        preload(made, count)
        environment = {**os.environ, "STOCK_DATA": str(made.folder / "stock")}
        command = [sys.executable, "-m", "faust", "-A", "bench.stock_faust:app", "worker", "-l", "warn"]
        with (made.folder / "stock.log").open("ab") as log:
            worker = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            return _rate(made, count)
        finally:
            worker.kill()
            worker.wait()


def _rate(made: Stack, count: int, seconds: float = 300) -> float:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done = [ms for ms, _ in made.records(HOPS[-1])]
        if len(done) >= count:
            first = [ms for ms, _ in made.records(HOPS[1])]
            return count / ((max(done) - min(first)) / 1000)
        time.sleep(2)
    msg = f"stock Faust did not finish {count} orders within {seconds:.0f} s"
    raise TimeoutError(msg)


def main(arguments: list[str]) -> None:
    """Print the rates of a run of each, and their ratio."""
    parser = argparse.ArgumentParser(prog="python -m bench stock_faust")
    parser.add_argument("--orders", type=int, default=5_000)
    add_code_option(parser)
    chosen = parser.parse_args(arguments)
    stock = run(chosen.orders)
    bourse = throughput.run(_TIMES_AS_MANY * chosen.orders, 1, PARTITIONS, code=chosen.code)
    ours = bourse.orders / bourse.seconds
    print(f"stock Faust, five hops  {stock:>12,.0f} orders/s")
    print(f"Bourse, every topic     {ours:>12,.0f} orders/s")
    print(f"ratio                   {ours / stock:>12,.1f}")
