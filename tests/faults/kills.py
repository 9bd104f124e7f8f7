"""`python -m tests.faults.kills`: many messages, many SIGKILLs, every message counted once; and stock Faust under the same.

The messages are numbers; what comes out are their counts and sums under another key. A harness that stock Faust passes
too would prove nothing: that run has to fail.
"""

import argparse
import random
import sys
import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from bourse.cli.local_broker import LocalBroker
from tests.broker import JARS
from tests.streaming.toy import Reader, Toy

WORKERS = ("w0", "w1")
ENGINE = "toy_app"
STOCK = "tests.faults.stock_app"
_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an outside reader found: messages that left no trace, that left several, and keys whose sum is wrong."""

    messages: int
    kills: int
    lost: int
    doubled: int
    wrong_sums: int

    @property
    def is_exact(self) -> bool:
        return not (self.lost or self.doubled or self.wrong_sums)

    def line(self, name: str) -> str:
        return (
            f"{name:<12} {self.messages:>8,} messages {self.kills:>3} SIGKILLs: {self.lost:,} lost, "
            f"{self.doubled:,} doubled, {self.wrong_sums} of 7 sums wrong"
        )


def run(broker: str, folder: Path, app: str, messages: int, kills: int, seed: int = 7) -> Verdict:
    """Kill workers of an app at places of progress that the seed decides, and judge what it has written."""
    toy, chance = Toy(broker, folder), random.Random(seed)
    reader = toy.totals()
    try:
        toy.publish(range(messages))
        for worker in WORKERS:
            toy.start(worker, app=app)
        for place in sorted(chance.sample(range(messages // 20, messages * 9 // 10), kills)):
            reader.read_until(place, _SECONDS)
            worker = chance.choice(WORKERS)
            toy.kill(worker)
            toy.start(worker, app=app)
        reader.read_until(messages, _SECONDS)
        # What is doubled may come behind what is last.
        reader.read(3)
        return judge(reader, messages, kills)
    finally:
        reader.close()
        toy.stop_all()


def judge(reader: Reader, messages: int, kills: int) -> Verdict:
    """Count what is not as it should be."""
    expected: defaultdict[str, list[int]] = defaultdict(list)
    for number in range(messages):
        expected[f"n{number % 7}"].append(number)
    wrong = sum(
        key not in reader.last
        or (reader.last[key]["count"], reader.last[key]["total"]) != (len(numbers), sum(numbers))
        for key, numbers in expected.items()
    )
    seen = Counter(reader.ids.values())
    return Verdict(messages, kills, messages - len(reader.ids), len(reader.ids) - seen[1], wrong)


def main() -> int:
    """Run both; 1 unless the engine is exact and stock Faust is not."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.kills")
    parser.add_argument("--messages", type=int, default=300_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--stock-messages", type=int, default=20_000)
    parser.add_argument("--stock-kills", type=int, default=5)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bourse-kills-") as folder:
        node = LocalBroker(Path(folder) / "broker", JARS)
        node.start()
        try:
            broker = str(node.address)
            ours = run(broker, Path(folder) / "engine", ENGINE, chosen.messages, chosen.kills)
            print(ours.line("this engine"), flush=True)
            stock = run(broker, Path(folder) / "stock", STOCK, chosen.stock_messages, chosen.stock_kills)
            print(stock.line("stock Faust"), flush=True)
        finally:
            node.stop()
    if stock.is_exact:
        print("Stock Faust was exact too: these kills prove nothing.")
    return int(not ours.is_exact or stock.is_exact)


if __name__ == "__main__":
    sys.exit(main())
