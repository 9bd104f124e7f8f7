"""Bugs of what carries records: the engine, the tables, and what lies between records and Kafka."""

from typing import Final

from tests.mutants.bug import BROKER, SETTINGS, Bug, bug

_BATCHES = "bourse/streaming/batches.py"
_CONVERSATION = "bourse/streaming/conversation.py"
_ENGINE = "bourse/streaming/engine.py"
_INTAKE = "bourse/streaming/intake.py"
_PRODUCER = "bourse/streaming/producer.py"
_REQUESTS = "bourse/streaming/requests.py"
_RESTORE = "bourse/streaming/restore.py"
_SWITCH = "bourse/streaming/switch.py"
_STORE = "bourse/tables/store.py"
_TABLE = "bourse/tables/table.py"
_RUNNER = "bourse/agents/runner.py"

BUGS: Final[tuple[Bug, ...]] = (
    bug(
        "offsets are committed before the outputs",
        _ENGINE,
        "        for frame in frames:\n            for portion in self._portions(frame):",
        "        await sent\n"
        "        self._producer.commit()\n"
        "        self._producer.begin()\n"
        "        for frame in frames:\n            for portion in self._portions(frame):",
    ),
    bug(
        "offsets are left out of the transaction",
        _ENGINE,
        "sent = self._in_transaction(lambda: self._send_offsets(offsets))",
        "sent = self._in_transaction(lambda: None)",
    ),
    bug(
        "the store is written before the commit",
        _ENGINE,
        "        self._producer.commit()",
        "        for partition in written:\n"
        "            self.stores[partition].commit(self.stores[partition].position or 0)\n"
        "        self._producer.commit()",
    ),
    bug(
        "the store is never written",
        _ENGINE,
        "self.stores[partition].commit(position)",
        "self.stores[partition].commit(None)",
    ),
    bug(
        "the store's position is too far by a record",
        _ENGINE,
        "self._changelog_ends[message.partition()] = message.offset() + 1",
        "self._changelog_ends[message.partition()] = message.offset() + 3",
    ),
    bug(
        "the overlay outlives an abort",
        _ENGINE,
        "            await self._cycle(messages)\n",
        "            try:\n"
        "                await self._cycle(messages)\n"
        "            except EngineError:\n"
        "                self._producer.close()\n",
    ),
    bug(
        "a commit's error is swallowed",
        _PRODUCER,
        "                    raise TransactionFailed(msg) from error",
        "                    return",
    ),
    bug(
        "an unclear outcome is taken for a commit",
        _PRODUCER,
        "                if not reason.retriable()",
        "                if reason.retriable():\n"
        "                    return\n"
        "                if not reason.retriable()",
    ),
    bug(
        "a dead letter ends its frame, and nothing of it is committed",
        _RUNNER,
        "            else:\n                self._send(frame, outputs)",
        "                return\n            else:\n                self._send(frame, outputs)",
    ),
    bug(
        "records from before a rebalance are kept",
        _ENGINE,
        "return messages if rebalances == self._rebalances else []",
        "return messages",
    ),
    bug(
        "partitions are read while they are restored",
        _INTAKE,
        "    consumer.pause(places)\n",
        "",
    ),
    bug(
        "the last record of a changelog does not wait for room",
        _PRODUCER,
        "            self._producer.produce(topic, value, key, partition, on_delivery=on_delivery)\n"
        "        except BufferError:\n"
        "            self._produce_when_there_is_room(topic, value, key, partition, on_delivery)",
        "            self._producer.produce(topic, value, key, partition, on_delivery=on_delivery)\n"
        "        except BufferError as full:\n"
        "            raise ValueError from full",
    ),
    bug(
        "early delivery reports are forgotten",
        _ENGINE,
        "        self._changelog_ends.clear()\n",
        "",
        "        self._producer.commit()",
        "        self._changelog_ends.clear()\n        self._producer.commit()",
    ),
    bug(
        "cycles take in what is not committed",
        _INTAKE,
        '"isolation.level": "read_committed"',
        '"isolation.level": "read_uncommitted"',
    ),
    bug(
        "the client finds out by itself where to begin",
        _INTAKE,
        "return self.committed if 0 <= self.committed < self.first else self.first",
        "return self.committed",
    ),
    bug(
        "the group's offsets are believed",
        _INTAKE,
        "return self.committed if handled < self.first <= self.committed else handled",
        "return self.committed if self.committed >= 0 else self.first",
    ),
    bug(
        "the group's offsets are believed where they are ahead",
        _INTAKE,
        "return self.committed if handled < self.first <= self.committed else handled",
        "return max(self.committed, handled)",
    ),
    bug(
        "restoring reads what was aborted",
        _RESTORE,
        '"isolation.level": "read_committed"',
        '"isolation.level": "read_uncommitted"',
    ),
    bug(
        "restoring ends at the last stable offset",
        _RESTORE,
        "self.position = max(self.position, message.offset() or 0)",
        "self.position = self.target",
    ),
    bug(
        "restoring ends one record early",
        _RESTORE,
        "if self.position < self.target:",
        "if self.position < self.target - 2:",
    ),
    bug(
        "changing over forgets inner topics that were never read",
        _SWITCH,
        "    for tp in consumer.committed(to_memory, _SECONDS) if to_memory else []:",
        "    for tp in [tp for tp in consumer.committed(to_memory, _SECONDS) if tp.offset >= 0]:",
    ),
    bug(
        "changing over reads again what was handed over",
        _SWITCH,
        "    return {**handled.offsets, **{topic: ends[topic] for topic in sorted(before - now)}}",
        "    return dict(handled.offsets)",
    ),
    bug(
        "changing over from one transaction reads again what crossed sides",
        _SWITCH,
        "for topic in sorted(before - now)}}",
        "for topic in sorted((before - now) & config.inner)}}",
    ),
    bug(
        "changing over is not written down",
        _ENGINE,
        "            self._commit({partition}, offsets)",
        "            self._commit(set(), offsets)",
    ),
    bug(
        "acks=1",
        _REQUESTS,
        "_ALL_COPIES = -1",
        "_ALL_COPIES = 1",
        found_by=SETTINGS,
    ),
    bug(
        "fencing is off: every start has a transactional id of its own",
        _PRODUCER,
        '        "transactional.id": member.transactional_id,',
        '        "transactional.id": f"{member.transactional_id}-{id(member)}",',
        found_by=SETTINGS,
    ),
    bug(
        "the consumer commits by itself",
        _INTAKE,
        '        "enable.auto.commit": False,',
        '        "enable.auto.commit": True,',
        found_by=SETTINGS,
    ),
    # -- tables -------------------------------------------------------------------------------------------------------
    bug(
        "caches outlive a rebalance",
        _STORE,
        "        self.attached = None\n        for table in self.tables.values():\n            table.forget()",
        "        pass",
    ),
    bug(
        "restoring leaves deleted rows",
        _STORE,
        "                batch.delete(row_key, family)",
        "                pass",
    ),
    bug(
        "deletions never reach the changelog",
        _TABLE,
        "        self._rows[key] = self._written[key] = None",
        "        self._rows[key] = None",
    ),
    bug(
        "a scan does not see this cycle's writes",
        _TABLE,
        "        found.update((key, row) for key, row in self._written.items() if key.startswith(prefix))\n",
        "",
    ),
    # -- between records and Kafka --------------------------------------------------------------------------------------
    bug(
        "keys go to other partitions than Kafka's",
        "bourse/streaming/partitioner.py",
        "_SEED = 0x9747B28C",
        "_SEED = 0x9747B28D",
    ),
    bug(
        "poison leaves no dead letter",
        _RUNNER,
        "        frame.send(self._wire.names[Topic.DEAD_LETTERS], letter.key, value, frame.partition)\n",
        "",
    ),
    bug(
        "a record under another's key is taken",
        _RUNNER,
        "        if record.key != expected:",
        "        if record.key is None:",
    ),
    bug(
        "a batch that may have been written is numbered anew",
        _CONVERSATION,
        "            if left:\n                await pauses.wait()",
        "            for batch in left.values():\n"
        "                batch.seal(self.identity, batch.count)\n"
        "            if left:\n                await pauses.wait()",
        found_by=BROKER,
    ),
    bug(
        "a transaction is ended while its records are on their way",
        _CONVERSATION,
        "        if committed:\n            await self.write()\n        else:",
        "        if committed:\n            asyncio.ensure_future(self.write())\n        else:",
        found_by=BROKER,
    ),
    bug(
        "the end of a transaction is not asked for again",
        _CONVERSATION,
        "            if code not in _NOT_NOW:\n                raise",
        "            if code not in _NOT_NOW or not hasattr(answer, 'topics'):\n                raise",
        found_by=BROKER,
    ),
    bug(
        "the next transaction has the name of the last",
        _CONVERSATION,
        "            self.identity = answer.producer_id, answer.producer_epoch\n        self._has_begun = False",
        "        self._has_begun = False",
        found_by=BROKER,
    ),
    bug(
        "a producer id that is used up is kept",
        _CONVERSATION,
        "            self.identity = answer.producer_id, answer.producer_epoch\n        self._has_begun = False",
        "            self.identity = self.identity[0], answer.producer_epoch\n        self._has_begun = False",
        found_by=BROKER,
    ),
    bug(
        "sequences go on in the next transaction",
        _BATCHES,
        "        self.open.clear()\n        self._sequences.clear()",
        "        self.open.clear()",
        found_by=BROKER,
    ),
    bug(
        "a partition's second batch overtakes its first",
        _CONVERSATION,
        "{place: batches[0] for place, batches in self._waiting.items()}",
        "{place: batches[-1] for place, batches in self._waiting.items()}",
        found_by=BROKER,
    ),
    bug(
        "a record of a batch has the batch's offset",
        _CONVERSATION,
        "Delivered(place, offset + number)",
        "Delivered(place, offset)",
        found_by=BROKER,
    ),
    bug(
        "room that was used is never free again",
        _CONVERSATION,
        "        self.written_bytes += len(batch.data)\n",
        "",
        found_by=BROKER,
    ),
)
