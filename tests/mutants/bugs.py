"""Bugs that somebody could have written, as replacements of text in the code, each one to be found.

A bug is planted in a copy of the project and looked for by the simulator, seed by seed, or by a test of client
settings where the Kafka in memory does not know the setting. Where code changes and a text here no longer fits,
`test_bugs.py` says so: say the same bug in the new words, and see with `make mutants BUG=name` that it is found.
"""

from dataclasses import dataclass
from typing import Final

SIMULATOR: Final = "simulator"
SETTINGS: Final = "settings test"

_ENGINE = "bourse/streaming/engine.py"
_INTAKE = "bourse/streaming/intake.py"
_PRODUCER = "bourse/streaming/producer.py"
_RESTORE = "bourse/streaming/restore.py"
_SWITCH = "bourse/streaming/switch.py"
_STORE = "bourse/tables/store.py"
_TABLE = "bourse/tables/table.py"
_RUNNER = "bourse/agents/runner.py"
_BOOK = "bourse/pipeline/matching/book.py"
_EXECUTION = "bourse/pipeline/matching/execution.py"
_POSTINGS = "bourse/pipeline/positions/postings.py"
_MONEY = "bourse/pipeline/money.py"
_HOLDINGS = "bourse/pipeline/positions/holdings.py"
_SETTLEMENT = "bourse/pipeline/settlement.py"


@dataclass(frozen=True, slots=True)
class Bug:
    """A planted bug: each text in `file` that is there once, with what stands in its place."""

    name: str
    file: str
    changes: tuple[tuple[str, str], ...]
    found_by: str = SIMULATOR

    def planted(self, source: str) -> str:
        """Return the source with the bug in it; ValueError where a text does not fit any more."""
        for before, after in self.changes:
            if source.count(before) != 1:
                msg = f"{self.name}: {self.file} has this text {source.count(before)} times, not once:\n{before}"
                raise ValueError(msg)
            source = source.replace(before, after)
        return source


def _bug(name: str, file: str, *texts: str, found_by: str = SIMULATOR) -> Bug:
    return Bug(name, file, tuple(zip(texts[::2], texts[1::2], strict=True)), found_by)


BUGS: Final = (
    # -- the engine ---------------------------------------------------------------------------------------------------
    _bug(
        "offsets are committed before the outputs",
        _ENGINE,
        "        for frame in frames:\n            for portion in self._portions(frame):",
        "        await under_way.pop()\n"
        "        self._producer.commit()\n"
        "        self._producer.begin()\n"
        "        for frame in frames:\n            for portion in self._portions(frame):",
    ),
    _bug(
        "offsets are left out of the transaction",
        _ENGINE,
        "under_way = [self._in_transaction(lambda: self._send_offsets(offsets))]",
        "under_way: list[Awaitable[None]] = []",
    ),
    _bug(
        "the store is written before the commit",
        _ENGINE,
        "        self._producer.commit()",
        "        for partition in written:\n"
        "            self.stores[partition].commit(self.stores[partition].position or 0)\n"
        "        self._producer.commit()",
    ),
    _bug(
        "the store is never written",
        _ENGINE,
        "self.stores[partition].commit(position)",
        "self.stores[partition].commit(None)",
    ),
    _bug(
        "the store's position is too far by a record",
        _ENGINE,
        "self._changelog_ends[message.partition()] = message.offset() + 1",
        "self._changelog_ends[message.partition()] = message.offset() + 3",
    ),
    _bug(
        "the overlay outlives an abort",
        _ENGINE,
        "            await self._cycle(messages)\n",
        "            try:\n"
        "                await self._cycle(messages)\n"
        "            except EngineError:\n"
        "                self._producer.close()\n",
    ),
    _bug(
        "a commit's error is swallowed",
        _PRODUCER,
        "                    raise TransactionFailed(msg) from error",
        "                    return",
    ),
    _bug(
        "an unclear outcome is taken for a commit",
        _PRODUCER,
        "                if not reason.retriable()",
        "                if reason.retriable():\n"
        "                    return\n"
        "                if not reason.retriable()",
    ),
    _bug(
        "a dead letter ends its frame, and nothing of it is committed",
        _RUNNER,
        "            else:\n                self._send(frame, outputs)",
        "                return\n            else:\n                self._send(frame, outputs)",
    ),
    _bug(
        "records from before a rebalance are kept",
        _ENGINE,
        "return messages if rebalances == self._rebalances else []",
        "return messages",
    ),
    _bug(
        "partitions are read while they are restored",
        _INTAKE,
        "    consumer.pause(places)\n",
        "",
    ),
    _bug(
        "the last record of a changelog does not wait for room",
        _PRODUCER,
        "            self._producer.produce(topic, value, key, partition, on_delivery=on_delivery)\n"
        "        except BufferError:\n"
        "            self._produce_when_there_is_room(topic, value, key, partition, on_delivery)",
        "            self._producer.produce(topic, value, key, partition, on_delivery=on_delivery)\n"
        "        except BufferError as full:\n"
        "            raise ValueError from full",
    ),
    _bug(
        "early delivery reports are forgotten",
        _ENGINE,
        "        self._changelog_ends.clear()\n",
        "",
        "        self._producer.commit()",
        "        self._changelog_ends.clear()\n        self._producer.commit()",
    ),
    _bug(
        "cycles take in what is not committed",
        _INTAKE,
        '"isolation.level": "read_committed"',
        '"isolation.level": "read_uncommitted"',
    ),
    _bug(
        "the client finds out by itself where to begin",
        _INTAKE,
        "return self.committed if 0 <= self.committed < self.first else self.first",
        "return self.committed",
    ),
    _bug(
        "the group's offsets are believed",
        _INTAKE,
        "return self.committed if handled < self.first <= self.committed else handled",
        "return self.committed if self.committed >= 0 else self.first",
    ),
    _bug(
        "the group's offsets are believed where they are ahead",
        _INTAKE,
        "return self.committed if handled < self.first <= self.committed else handled",
        "return max(self.committed, handled)",
    ),
    _bug(
        "restoring reads what was aborted",
        _RESTORE,
        '"isolation.level": "read_committed"',
        '"isolation.level": "read_uncommitted"',
    ),
    _bug(
        "restoring ends at the last stable offset",
        _RESTORE,
        "isolation_level=IsolationLevel.READ_UNCOMMITTED",
        "isolation_level=IsolationLevel.READ_COMMITTED",
    ),
    _bug(
        "restoring ends one record early",
        _RESTORE,
        "if self.position < self.target:",
        "if self.position < self.target - 2:",
    ),
    _bug(
        "changing over forgets inner topics that were never read",
        _SWITCH,
        "    for tp in consumer.committed(inner, _SECONDS) if inner else []:",
        "    for tp in [tp for tp in consumer.committed(inner, _SECONDS) if tp.offset >= 0]:",
    ),
    _bug(
        "changing over reads again what was handed over",
        _SWITCH,
        "        return {**handled.offsets, **ends}",
        "        return dict(handled.offsets)",
    ),
    _bug(
        "changing over is not written down",
        _ENGINE,
        "            self._commit({partition}, offsets)",
        "            self._commit(set(), offsets)",
    ),
    _bug(
        "acks=1",
        _PRODUCER,
        '        "compression.type": "lz4",',
        '        "acks": 1,\n        "compression.type": "lz4",',
        found_by=SETTINGS,
    ),
    _bug(
        "fencing is off: every start has a transactional id of its own",
        _PRODUCER,
        '        "transactional.id": member.transactional_id,',
        '        "transactional.id": f"{member.transactional_id}-{id(member)}",',
        found_by=SETTINGS,
    ),
    _bug(
        "the consumer commits by itself",
        _INTAKE,
        '        "enable.auto.commit": False,',
        '        "enable.auto.commit": True,',
        found_by=SETTINGS,
    ),
    # -- tables -------------------------------------------------------------------------------------------------------
    _bug(
        "caches outlive a rebalance",
        _STORE,
        "        self.attached = None\n        for table in self.tables.values():\n            table.forget()",
        "        pass",
    ),
    _bug(
        "restoring leaves deleted rows",
        _STORE,
        "                batch.delete(row_key, family)",
        "                pass",
    ),
    _bug(
        "deletions never reach the changelog",
        _TABLE,
        "        self._rows[key] = self._written[key] = None",
        "        self._rows[key] = None",
    ),
    _bug(
        "a scan does not see this cycle's writes",
        _TABLE,
        "        found.update((key, row) for key, row in self._written.items() if key.startswith(prefix))\n",
        "",
    ),
    # -- between records and Kafka --------------------------------------------------------------------------------------
    _bug(
        "keys go to other partitions than Kafka's",
        "bourse/streaming/partitioner.py",
        "_SEED = 0x9747B28C",
        "_SEED = 0x9747B28D",
    ),
    _bug(
        "poison leaves no dead letter",
        _RUNNER,
        "        frame.send(self._wire.names[Topic.DEAD_LETTERS], letter.key, value, frame.partition)\n",
        "",
    ),
    _bug(
        "a record under another's key is taken",
        _RUNNER,
        "        if record.key != expected:",
        "        if record.key is None:",
    ),
    # -- the market ----------------------------------------------------------------------------------------------------
    _bug(
        "the announcer leaves out a partition",
        "bourse/pipeline/announcer.py",
        "    for partition in range(partitions):",
        "    for partition in range(max(1, partitions - 1)):",
    ),
    _bug(
        "last in, first out at a price",
        _BOOK,
        "        level.queue.append(place)",
        "        level.queue.appendleft(place)",
    ),
    _bug(
        "prices that are equal do not cross",
        _BOOK,
        "level.price < limit if side is BUY else level.price > limit",
        "level.price <= limit if side is BUY else level.price >= limit",
    ),
    _bug(
        "a partly filled order goes to the end of its queue",
        _BOOK,
        "        if after.sequence != order.sequence:\n",
        "        if level.orders > 1:\n",
    ),
    _bug(
        "trades are at the aggressor's price",
        _EXECUTION,
        "    publish(turn, taker, maker, maker.price, quantity)",
        "    publish(turn, taker, maker, taker.price, quantity)",
    ),
    _bug(
        "fees are computed in floats",
        _MONEY,
        "    return Cash(value * bps // BASIS_POINTS)",
        "    return Cash(round(value * bps / BASIS_POINTS))",
    ),
    _bug(
        "the rest of an IOC order stays",
        "bourse/pipeline/matching/entry.py",
        "or left.time_in_force in AT_ONCE)",
        "and left.time_in_force in AT_ONCE)",
    ),
    _bug(
        "a book that is built again forgets who came first",
        "bourse/pipeline/matching/turn.py",
        "        for row in sorted((row for _, row in state.resting_orders.scan(prefix)), key=_place):",
        "        for row in [row for _, row in state.resting_orders.scan(prefix)]:",
    ),
    _bug(
        "depth by order shows what an iceberg hides",
        "bourse/pipeline/matching/by_order.py",
        "    displayed = Quantity(order.leaves_quantity - order.hidden_quantity)",
        "    displayed = order.leaves_quantity",
    ),
    _bug(
        "depth by order forgets an order that has gone",
        "bourse/pipeline/matching/by_order.py",
        "            if was is not None:",
        "            if was is not None and not found:",
    ),
    _bug(
        "a mass cancel leaves the newest order",
        "bourse/pipeline/matching/cancels.py",
        "    for order_id in own:",
        "    for order_id in [*own][: max(1, len(own) - 1)]:",
    ),
    _bug(
        "the wall clock is the place in time",
        "bourse/pipeline/matching/turn.py",
        "        return order if order.sequence == self.place else replace(order, sequence=self.place)",
        '        return replace(order, sequence=__import__("time").time_ns())',
    ),
    _bug(
        "trade ids are random",
        "bourse/pipeline/ids.py",
        '    return f"{shortened(place)}-{number}"',
        "    return f\"{shortened(place)}-{__import__('secrets').token_hex(8)}\"",
    ),
    _bug(
        "a retry is executed again",
        "bourse/pipeline/validation/orders.py",
        "    if known is not None:\n        refusal,",
        "    if known is not None and known.digest != digest:\n        refusal,",
    ),
    _bug(
        "a repeated deposit is paid again",
        "bourse/pipeline/risk/commands.py",
        "    if known is not None:",
        "    if known is not None and known.digest != digest:",
    ),
    _bug(
        "the fee is not blocked",
        "bourse/pipeline/risk/orders.py",
        "        with_fee(value, fee_bps) if is_buy else order.quantity,",
        "        value if is_buy else order.quantity,",
    ),
    _bug(
        "fees are rounded up",
        _MONEY,
        "    return Cash(value * bps // BASIS_POINTS)",
        "    return Cash(-(-value * bps // BASIS_POINTS))",
    ),
    _bug(
        "a cancel gives nothing back",
        _POSTINGS,
        "    if back:\n        step =",
        "    if back and release.reason is not ReleaseReason.CANCELLED:\n        step =",
    ),
    _bug(
        "a cancel gives back twice",
        _POSTINGS,
        "hold.asset, [step], time_ns, release.order_id)",
        "hold.asset, [step, step], time_ns, release.order_id)",
    ),
    _bug(
        "what a better price saves is kept",
        _POSTINGS,
        "    back = max(0, hold.blocked - holds.reserve(hold))",
        "    back = 0",
    ),
    _bug(
        "a sale moves no position",
        _HOLDINGS,
        "    change = trade.quantity if trade.side is _BUY else -trade.quantity",
        "    change = trade.quantity if trade.side is _BUY else 0",
    ),
    _bug(
        "trades settle on their own date",
        _HOLDINGS,
        "settlement_date(trade.venue, trade.trade_date, trade.settlement_days)",
        "settlement_date(trade.venue, trade.trade_date, 0)",
    ),
    _bug(
        "obligations are settled twice",
        _SETTLEMENT,
        "                _settle(state, outputs, row, time_ns)\n",
        "                _settle(state, outputs, row, time_ns)\n" * 2,
    ),
    _bug(
        "an obligation forgets the fees of its later trades",
        _SETTLEMENT,
        "        Cash(before.fees + trade.fee),",
        "        before.fees,",
    ),
)
