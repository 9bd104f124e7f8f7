"""Restoring a lost state folder: how fast a worker is back from the changelog alone.

`python -m bench restore [--orders N]`
"""

import argparse
import itertools
import re
import shutil
import time

from bench.orders import market, orders, reference_data
from bench.stack import publish, stack
from bourse.agents.wire import Wire


def run(count: int) -> tuple[int, float, float]:
    """Return rows restored, seconds from first to last restored partition, and seconds to live from the start."""
    with stack(partitions=2) as made:
        wire = Wire(made.settings)
        made.start_worker("w0")
        publish(made, wire, reference_data(market(2)))
        flow = itertools.islice(orders(market(2)), count)
        publish(made, wire, (("orders", order.account_id, order) for order in flow))
        made.stop_workers()
        shutil.rmtree(made.settings.state_dir)
        (made.folder / "w0.log").unlink()
        began = time.monotonic()
        made.start_worker("w0")
        # Not until all is drained: it is from the start, for as long as the group has not missed the last worker.
        log = ""
        while log.count("is live after") < made.settings.partitions:
            time.sleep(0.05)
            log = (made.folder / "w0.log").read_text()
        seconds = time.monotonic() - began
        rows = sum(int(found) for found in re.findall(r"live after (\d+) restored rows", log))
        metric = re.findall(r"restored in ([0-9.]+) s", log)
        return rows, max(map(float, metric)), seconds


def main(arguments: list[str]) -> None:
    """Print the figures of one run."""
    parser = argparse.ArgumentParser(prog="python -m bench restore")
    parser.add_argument("--orders", type=int, default=100_000)
    rows, restoring, total = run(parser.parse_args(arguments).orders)
    print(f"rows restored           {rows:>12,}")
    print(f"changelog rows/s        {rows / restoring:>12,.0f}")
    print(
        f"start to live           {total:>12,.1f} s (start of the process, joining the group and restoring)"
    )
