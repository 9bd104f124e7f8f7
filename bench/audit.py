"""How many records a second the auditor takes on one core, decoding included, and what it keeps of them.

A seeded order flow is simulated in memory and encoded as Kafka would hold it, inputs and outputs. Then it is decoded and fed,
and the CPU of each of the two is told; reading from Kafka is apart (`bourse audit` prints its own rate).

    python -m bench.audit [--records N]
"""

import argparse
import gc
import os
import time
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from bench.orders import market, orders, reference_data
from bourse.audit import Auditor, Entry, Result
from bourse.audit.entries import TOPIC_RECORDS
from bourse.pipeline.outputs import Topic
from bourse.pipeline.simulate import SimEvent, Simulation
from bourse.schemas.codec import Codec
from bourse.schemas.ids import LocalIds
from bourse.schemas.records import Record

BATCH = 10_000
MEBIBYTE = 1 << 20


class Encoded(NamedTuple):
    """A record as it lies in a topic."""

    topic: str
    offset: int
    key: str | None
    value: bytes


def log(records: int) -> Iterator[Encoded]:
    """Yield at least so many encoded records of a flow, in the order in which they were written."""
    codec, simulation = Codec(LocalIds()), Simulation()
    encoders = {topic: codec.encoder(record_type) for topic, record_type in TOPIC_RECORDS.items()}
    offsets: Counter[str] = Counter()

    def encoded(topic: str, key: str | None, record: Record) -> Encoded:
        offsets[topic] += 1
        return Encoded(topic, offsets[topic] - 1, key, encoders[topic](record))

    market_ = market(1)
    inputs: Iterator[tuple[str, str, Record]] = reference_data(market_)
    more = (("orders", order.account_id, order) for order in orders(market_))
    for stream in (inputs, more):
        for topic, key, record in stream:
            yield encoded(topic, key, record)
            for event in simulation.feed(SimEvent(Topic(topic), key, record)):
                yield encoded(str(event.topic), event.key, event.record)
            if stream is more and offsets.total() >= records:
                return


def resident() -> float:
    """Return the memory of this process in MiB."""
    with open("/proc/self/statm") as statm:  # noqa: PTH123 - not a file that anybody keeps
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / MEBIBYTE


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    options = parser.parse_args(arguments)
    held = list(log(options.records))
    decoders = {topic: Codec(LocalIds()).decoder(record) for topic, record in TOPIC_RECORDS.items()}
    gc.collect()
    gc.freeze()  # The log is the measurement's, not the auditor's.
    auditor, before = Auditor(), resident()
    decoding = feeding = 0.0
    for begin in range(0, len(held), BATCH):
        started = time.process_time()
        entries = [
            Entry(one.topic, 0, one.offset, 0, one.key, decoders[one.topic](one.value))
            for one in held[begin : begin + BATCH]
        ]
        decoded = time.process_time()
        for entry in entries:
            auditor.feed(entry)
        feeding += time.process_time() - decoded
        decoding += decoded - started
    started = time.process_time()
    report = auditor.report()
    concluding = time.process_time() - started
    total = decoding + feeding + concluding
    print(f"{len(held):,} records: {len(held) / total:,.0f}/s of CPU on one core")
    print(
        f"decoding {decoding / len(held) * 1e6:.1f}, checking {feeding / len(held) * 1e6:.1f} µs a record, the report {concluding:.2f} s"
    )
    print(f"kept at the end: {resident() - before:.0f} MiB")
    results = Counter(str(finding.result) for finding in report.findings)
    print(", ".join(f"{count} {result.lower()}" for result, count in sorted(results.items())))
    for finding in report.failed:
        print(finding)
    assert not any(finding.result is Result.FAILED for finding in report.findings)


if __name__ == "__main__":
    main()
