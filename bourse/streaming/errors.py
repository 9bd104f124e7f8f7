"""What can go wrong in the engine, each as a type with one meaning.

All of them end the worker before anything is committed: the next start begins from what Kafka holds.
"""


class EngineError(Exception):
    """A cycle could not be brought to a committed end; nothing of it is visible to anyone."""


class UnfinishedFrame(EngineError):  # noqa: N818  (names what happened)
    """An agent raised, or gave up its frame, before it had handled the last record of it."""


class TransactionFailed(EngineError):  # noqa: N818  (names what happened)
    """The broker refused the transaction, fenced this producer, or left its outcome unknown."""


class ChangelogTruncated(EngineError):  # noqa: N818  (names what happened)
    """The changelog no longer reaches back to what a store needs; state cannot be rebuilt from it."""


class ChangelogLost(EngineError):  # noqa: N818  (names what happened)
    """The changelog lacks what the group has handled: somebody has to say which of both is to count."""


class TopicsMismatch(EngineError):  # noqa: N818  (names what happened)
    """A topic is missing, or has another number of partitions than the setting says."""


class ModeChangeRefused(EngineError):  # noqa: N818  (names what happened)
    """Hops were carried through Kafka before and some of their records still wait to be handled."""


class StoreDamaged(EngineError):  # noqa: N818  (names what happened)
    """A store could not be read or written; where its files are wrong, the next start rebuilds it from the changelog."""


class CallHangs(EngineError):  # noqa: N818  (names what happened)
    """A client did not come back from a call, whatever time-out it was given; while it hangs it still has its partitions."""
