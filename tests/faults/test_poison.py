"""Ten thousand records that nobody can read, of every kind, among good orders."""

import random
from collections import Counter
from itertools import islice

from bench.orders import market, orders, reference_data
from bourse.audit import Equation
from tests.agents.proof import prove
from tests.agents.workers import Workers
from tests.faults.poison import poison_for

POISON = 10_000
GOOD = 2_000


def test_every_poison_record_is_a_dead_letter_and_stops_nobody(workers: Workers) -> None:
    small = market(workers.settings.partitions, symbols=20, accounts=40)
    workers.start("w0")
    workers.start("w1")
    workers.publish(reference_data(small))
    kinds, chance = poison_for(workers.settings, workers.wire), random.Random(5)
    assert len(kinds) >= 60
    # Each kind at least once; the largest only so often.
    names = [*kinds, *chance.choices([name for name in kinds if "KB" not in name], k=POISON - len(kinds))]
    chance.shuffle(names)
    flow = islice(orders(small), GOOD)
    for number, name in enumerate(names):
        workers.raw(*kinds[name])
        if number % (POISON // GOOD) == 0:
            order = next(flow)
            workers.send("orders", order.account_id, order)
    workers.flush()
    workers.drain()
    workers.assert_alive()
    sent = Counter((topic, key, value) for topic, key, value, _ in (kinds[name] for name in names))
    letters = Counter((letter.topic, letter.key, letter.value) for letter in workers.records("dead-letters"))
    assert letters == sent
    prove(*Equation)
