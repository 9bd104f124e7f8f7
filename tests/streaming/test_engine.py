"""The engine on toy agents: real broker, real processes, killed for real."""

import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bourse.streaming.carry import Carry
from bourse.streaming.config import EngineConfig, Member
from tests.faults.kills import ENGINE, run
from tests.streaming.toy import Reader, Toy

COUNT = 20_000


@pytest.fixture
def toy(broker: str, tmp_path: Path) -> Iterator[Toy]:
    toy = Toy(broker, tmp_path)
    yield toy
    toy.stop_all()


@pytest.fixture
def totals(toy: Toy) -> Iterator[Reader]:
    reader = toy.totals()
    yield reader
    reader.close()


def assert_exact(reader: Reader, numbers: range) -> None:
    """Every number was counted once, at both of the re-keyed sums."""
    reader.read(1)
    assert len(reader.ids) == len(numbers)
    assert set(reader.ids.values()) == {1}
    for key, value in reader.last.items():
        expected = [n for n in numbers if n % 7 == int(key.removeprefix("n"))]
        assert (value["count"], value["total"]) == (len(expected), sum(expected))


def test_every_record_counts_once_while_workers_are_killed(broker: str, tmp_path: Path) -> None:
    assert run(broker, tmp_path, ENGINE, messages=60_000, kills=6).is_exact


def test_a_graceful_stop_leaves_no_lag_and_no_transaction_open(toy: Toy, totals: Reader) -> None:
    toy.publish(range(COUNT))
    toy.start("w0")
    assert totals.read_until(COUNT) == COUNT
    deadline = time.monotonic() + 20
    while any(toy.lag().values()) and time.monotonic() < deadline:
        totals.read()
    assert set(toy.lag().values()) == {0}
    assert toy.stop("w0") == 0
    # Another worker gets the partitions without waiting for a session to time out.
    began = time.monotonic()
    toy.start("w1")
    toy.publish(range(COUNT, COUNT + 100))
    assert totals.read_until(COUNT + 100) == COUNT + 100
    assert time.monotonic() - began < 6 + 6  # start-up included; the session's time-out alone is 6 s
    assert_exact(totals, range(COUNT + 100))


def test_an_agent_that_raises_stops_the_worker_before_anything_is_committed(toy: Toy, totals: Reader) -> None:
    toy.publish(range(1_000))
    toy.start("w0")
    assert totals.read_until(1_000) == 1_000
    toy.publish(range(1_000, 1_001), keys=1)
    toy.publish_raw(b"raise")
    assert toy.workers["w0"].wait(30) == 70
    assert "did not finish its frame" in toy.log("w0").read_text()
    # The worker comes back to the same record and stops again: it is neither skipped nor half done.
    toy.start("w0")
    assert toy.workers["w0"].wait(30) == 70


@pytest.mark.parametrize(("spending", "learns"), [(b"compute", True), (b"wait", False)])
def test_what_does_not_fit_into_a_transaction_gets_a_longer_one(
    toy: Toy, totals: Reader, spending: bytes, *, learns: bool
) -> None:
    toy.start("w0", TOY_TIMEOUT_MS="1000")
    toy.publish(range(100))
    assert totals.read_until(100) == 100
    # The broker aborts what is too old once a second.
    toy.publish_raw(spending + b" 3")
    assert toy.workers["w0"].wait(30) == 70
    left = toy.folder / "w0" / "patience"
    assert left.exists() == learns
    assert ("may last longer than 1.0 s" in toy.log("w0").read_text()) == learns
    if learns:
        toy.start("w0", TOY_TIMEOUT_MS="1000")
        toy.publish(range(100, 200))
        assert totals.read_until(200) == 200
        assert not left.exists()
        # From then on it has the usual time, and learns anew.
        assert "transactions may last 1.0 s again" in toy.log("w0").read_text()
        toy.publish(range(200, 300))
        assert totals.read_until(300) == 300
        assert_exact(totals, range(300))
        toy.publish_raw(spending + b" 3")
        assert toy.workers["w0"].wait(30) == 70


def test_every_way_of_carrying_hops_gives_the_same_outputs(broker: str, tmp_path: Path) -> None:
    outputs = []
    for carry in Carry:
        toy = Toy(broker, tmp_path / carry, partitions=1)
        reader = toy.totals()
        try:
            toy.publish(range(5_000))
            toy.start("w0", carry=carry)
            assert reader.read_until(5_000) == 5_000
            ids = [name.partition("-numbers")[2] for name in reader.ids]
            outputs.append((ids, reader.last.keys(), [v["total"] for v in reader.last.values()]))
        finally:
            reader.close()
            toy.stop_all()
    assert outputs[0] == outputs[1] == outputs[2]


def test_the_way_of_carrying_hops_changes_on_live_state(broker: str, tmp_path: Path) -> None:
    # The simulator goes from each way to each other one.
    ways = (Carry.MEMORY, Carry.KAFKA, Carry.TOGETHER, Carry.MEMORY)
    toy = Toy(broker, tmp_path, partitions=1)
    totals = toy.totals()
    try:
        for round_, carry in enumerate(ways):
            toy.publish(range(round_ * 2_000, (round_ + 1) * 2_000))
            toy.start("w0", carry=carry)
            assert totals.read_until((round_ + 1) * 2_000) == (round_ + 1) * 2_000
            time.sleep(1)  # long enough for an idle worker to commit past the last control record
            assert toy.stop("w0") == 0
        assert_exact(totals, range(2_000 * len(ways)))
    finally:
        totals.close()
        toy.stop_all()


def test_hops_are_carried_together_in_one_partition_only() -> None:
    config = EngineConfig(Member("b", "g", "w"), 1, "c", ["a"], open_store=lambda _identity: None)  # type: ignore[arg-type, return-value]
    with pytest.raises(ValueError, match="in one partition only, not in 2"):
        replace(config, partitions=2, carry=Carry.TOGETHER)


def test_the_way_back_is_refused_while_records_wait(toy: Toy, totals: Reader) -> None:
    toy.publish(range(COUNT))
    toy.start("w0", carry=Carry.KAFKA, TOY_MAX_RECORDS="50")
    assert totals.read_until(100) >= 100
    toy.kill("w0")
    toy.start("w0", carry=Carry.MEMORY)
    assert toy.workers["w0"].wait(30) == 70
    assert "wait to be handled" in toy.log("w0").read_text()
    toy.start("w0", carry=Carry.KAFKA)
    totals.read_until(COUNT)
    assert_exact(totals, range(COUNT))


def test_a_changelog_that_was_made_again_is_no_new_beginning(toy: Toy, totals: Reader) -> None:
    toy.publish(range(1_000))
    toy.start("w0")
    assert totals.read_until(1_000) == 1_000
    assert toy.stop("w0") == 0
    toy.lose_the_changelog()
    for _ in range(2):
        toy.start("w0")
        assert toy.workers["w0"].wait(30) == 70
    said = toy.log("w0").read_text()
    assert "says nothing of" in said
    assert f"it and the offsets of the group {toy.prefix}group, to do everything again" in said
    assert_exact(totals, range(1_000))
    # Who deletes them has said that all is to be done again.
    toy.admin.delete_consumer_groups([f"{toy.prefix}group"])[f"{toy.prefix}group"].result()
    toy.start("w0")
    deadline = time.monotonic() + 30
    while min(totals.ids.values()) == 1 and time.monotonic() < deadline:
        totals.read()
    assert min(totals.ids.values()) > 1


def test_a_topic_that_is_only_written_is_looked_for_at_the_start(toy: Toy) -> None:
    toy.delete("totals")
    toy.start("w0")
    assert toy.workers["w0"].wait(30) == 70
    assert f"missing in Kafka: {toy.prefix}totals; `bourse topics apply`" in toy.log("w0").read_text()


def test_fausts_own_web_still_answers(toy: Toy, totals: Reader, free_port: int) -> None:
    toy.start("w0", TOY_WEB_PORT=str(free_port))
    toy.publish(range(10))
    assert totals.read_until(10) == 10
    with urllib.request.urlopen(f"http://127.0.0.1:{free_port}/", timeout=10) as answer:
        assert answer.status == 200
