"""The flow as data: every topic, every stage, who writes what and who reads it. One look at this file is the map.

Stages are listed in the order in which they see an announcement. A hop between two stages of the same side keeps its
key, so it can be handed over in memory inside one transaction; a hop between sides changes its key and goes through
Kafka. Decides nothing about orders, and refuses to know how a hop is carried.
"""

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from functools import partial
from typing import Final, NamedTuple, TypeAlias

from bourse.pipeline import announcer, matching, positions, risk, settlement, validation
from bourse.pipeline.errors import InvariantBroken
from bourse.pipeline.outputs import Output, Record, Topic
from bourse.pipeline.state import State
from bourse.schemas import records
from bourse.schemas.records import TransactionKind, WalletTransaction
from bourse.schemas.units import TimeNs

Handle: TypeAlias = Callable[[State, str, str, Record, TimeNs], list[Output]]
"""state, topic, cause (the input's event_id or position), record, and the input's own time -> outputs in order."""


class Keyed(StrEnum):
    """What the records of a topic are partitioned by, and so which side of the flow they belong to."""

    ACCOUNT = "account"
    SYMBOL = "symbol"
    MARKET = "market"
    PARTICIPANT = "participant"
    EVERY_PARTITION = "a copy in every partition"
    ORIGINAL = "original key"


class TopicDefinition(NamedTuple):
    """A topic: what its records are, how they are keyed, who writes and reads them."""

    name: Topic
    record_type: type[Record]
    key_field: str | None
    keyed: Keyed
    written_by: tuple[str, ...]
    read_by: tuple[str, ...]
    doc: str
    compacted: bool = False


class Read(NamedTuple):
    """A topic that a stage reads; only what one stage writes there, and only some records, where that is said."""

    topic: Topic
    from_stage: str | None = None
    concerns: Callable[[Record], bool] | None = None


class Stage(NamedTuple):
    """A stage: the function that decides, and its place in the flow."""

    name: str
    letter: str
    keyed: Keyed
    handle: Handle
    reads: tuple[Read, ...]
    writes: tuple[Topic, ...]
    tables: tuple[str, ...]
    doc: str


class Hop(NamedTuple):
    """A way from one stage to another by a topic."""

    topic: Topic
    writer: str
    reader: str
    handed_over: bool
    """Whether the key stays the same, so that the record can be handed over in memory too."""


def _account(
    name: Topic, record_type: type[Record], written_by: tuple[str, ...], read_by: tuple[str, ...], doc: str
) -> TopicDefinition:
    return TopicDefinition(name, record_type, "account_id", Keyed.ACCOUNT, written_by, read_by, doc)


def _symbol(
    name: Topic, record_type: type[Record], written_by: tuple[str, ...], read_by: tuple[str, ...], doc: str
) -> TopicDefinition:
    return TopicDefinition(name, record_type, "symbol", Keyed.SYMBOL, written_by, read_by, doc)


_DECIDING: Final = ("validation", "risk", "matching", "positions", "settlement")

_TOPICS: Final = (
    # In sequence.
    _account(Topic.ORDERS, records.Order, ("producers", "gateway"), ("validation",), "Order messages."),
    _account(
        Topic.VALIDATED,
        records.ValidatedOrder,
        ("validation",),
        ("risk",),
        "Messages that can be read, with ids.",
    ),
    _symbol(
        Topic.RISK_APPROVED,
        records.ApprovedOrder,
        ("risk",),
        ("matching",),
        "Messages that are paid for, for the book.",
    ),
    _account(Topic.TRADES, records.Trade, ("matching",), ("positions",), "Fills, one record for each side."),
    _account(
        Topic.POSITIONS, records.PositionUpdated, ("positions",), ("settlement",), "Changes of holdings."
    ),
    _account(
        Topic.SETTLEMENTS, records.SettlementUpdated, ("settlement",), ("people",), "Changes of obligations."
    ),
    # Beside them.
    _account(
        Topic.RELEASES,
        records.Release,
        ("matching",),
        ("positions",),
        "Quantities that will not trade any more.",
    ),
    _account(
        Topic.ORDER_EVENTS,
        records.OrderEvent,
        ("validation", "risk", "matching"),
        ("people",),
        "The life of every order.",
    ),
    _account(
        Topic.WALLET_COMMANDS,
        records.WalletCommand,
        ("producers", "gateway"),
        ("risk",),
        "Deposits and withdrawals.",
    ),
    _account(
        Topic.WALLET_TRANSACTIONS,
        records.WalletTransaction,
        ("risk", "positions", "settlement"),
        ("positions", "people"),
        "Every change of every balance.",
    ),
    _account(Topic.ACCOUNTS, records.Account, ("operators",), ("validation",), "Who may trade.")._replace(
        compacted=True
    ),
    TopicDefinition(
        Topic.PARTICIPANTS,
        records.Participant,
        "participant_id",
        Keyed.PARTICIPANT,
        ("operators",),
        ("announcer",),
        "Whose accounts may trade.",
        compacted=True,
    ),
    _symbol(
        Topic.INSTRUMENTS, records.Instrument, ("operators",), ("announcer",), "What may be traded."
    )._replace(compacted=True),
    _symbol(
        Topic.CORPORATE_ACTIONS, records.CorporateAction, ("operators",), ("announcer",), "What issuers do."
    ),
    TopicDefinition(
        Topic.SESSIONS,
        records.SessionEvent,
        "market",
        Keyed.MARKET,
        ("session clock", "operators"),
        ("announcer",),
        "Phases, business dates, clock ticks, halts.",
    ),
    TopicDefinition(
        Topic.ANNOUNCEMENTS,
        records.Announcement,
        None,
        Keyed.EVERY_PARTITION,
        ("announcer",),
        _DECIDING,
        "What concerns everybody, copied.",
    ),
    _symbol(
        Topic.MARKET_DATA, records.MarketDataEvent, ("quote feeds",), ("analytics",), "Quotes from outside."
    ),
    _symbol(
        Topic.TAPE,
        records.TapePrint,
        ("matching",),
        ("analytics", "people"),
        "Trades as the public sees them.",
    ),
    _symbol(
        Topic.BOOK_UPDATES, records.BookUpdate, ("matching",), ("people",), "Changes of the books' depth."
    ),
    TopicDefinition(
        Topic.DEAD_LETTERS,
        records.DeadLetter,
        None,
        Keyed.ORIGINAL,
        ("announcer", *_DECIDING),
        ("operators",),
        "What no stage could make sense of.",
    ),
)
TOPICS: Final = {topic.name: topic for topic in _TOPICS}

SHARED_LOGS: Final = frozenset({Topic.ORDER_EVENTS, Topic.WALLET_TRANSACTIONS, Topic.DEAD_LETTERS})
"""Topics that more than one stage writes; every other has one writer."""

SHARED_TABLES: Final = frozenset({"wallets", "holds", "sweeps"})
"""Tables that more than one stage writes: money is blocked by risk, moved by positions, made available by settlement; each
sweep has a row of its own."""


def _moves_holdings(record: Record) -> bool:
    """Say whether a wallet transaction brings in or takes out something, which may be shares."""
    return isinstance(record, WalletTransaction) and record.kind in _IN_AND_OUT


_IN_AND_OUT: Final = frozenset({TransactionKind.DEPOSIT, TransactionKind.WITHDRAWAL})


def stages(partitions: int) -> tuple[Stage, ...]:
    """Return the stages for that number of partitions, in the order in which they see an announcement."""
    return (
        Stage(
            "announcer",
            announcer.LETTER,
            Keyed.EVERY_PARTITION,
            announcer.handler(partitions),
            (
                Read(Topic.INSTRUMENTS),
                Read(Topic.PARTICIPANTS),
                Read(Topic.CORPORATE_ACTIONS),
                Read(Topic.SESSIONS),
            ),
            (Topic.ANNOUNCEMENTS,),
            (),
            "Copies what concerns everybody into every partition.",
        ),
        Stage(
            "validation",
            validation.LETTER,
            Keyed.ACCOUNT,
            validation.handle,
            (Read(Topic.ANNOUNCEMENTS), Read(Topic.ACCOUNTS), Read(Topic.ORDERS)),
            (Topic.VALIDATED, Topic.ORDER_EVENTS),
            (
                "accounts",
                "participants",
                "instruments",
                "markets",
                "halts",
                "message_rates",
                "client_orders",
                "sweeps",
            ),
            "Is this a request that the market can read, at a time when it may be made?",
        ),
        Stage(
            "risk",
            risk.LETTER,
            Keyed.ACCOUNT,
            partial(risk.handle, partitions=partitions),
            (Read(Topic.ANNOUNCEMENTS), Read(Topic.WALLET_COMMANDS), Read(Topic.VALIDATED)),
            (Topic.RISK_APPROVED, Topic.ORDER_EVENTS, Topic.WALLET_TRANSACTIONS),
            ("wallet_requests", "sweeps", "asset_totals", "wallets", "holds"),
            "Can the account pay for it, whatever happens next?",
        ),
        Stage(
            "matching",
            matching.LETTER,
            Keyed.SYMBOL,
            matching.handle,
            (Read(Topic.ANNOUNCEMENTS), Read(Topic.RISK_APPROVED)),
            (Topic.TRADES, Topic.RELEASES, Topic.ORDER_EVENTS, Topic.TAPE, Topic.BOOK_UPDATES),
            ("resting_orders", "waiting_orders", "books"),
            "Who trades with whom, at which price?",
        ),
        Stage(
            "positions",
            positions.LETTER,
            Keyed.ACCOUNT,
            positions.handle,
            (
                Read(Topic.ANNOUNCEMENTS),
                Read(Topic.TRADES),
                Read(Topic.RELEASES),
                Read(Topic.WALLET_TRANSACTIONS, "risk", _moves_holdings),
            ),
            (Topic.POSITIONS, Topic.WALLET_TRANSACTIONS),
            ("positions", "wallets", "holds"),
            "What does the account own now, and what did it pay?",
        ),
        Stage(
            "settlement",
            settlement.LETTER,
            Keyed.ACCOUNT,
            settlement.handle,
            (Read(Topic.ANNOUNCEMENTS), Read(Topic.POSITIONS)),
            (Topic.SETTLEMENTS, Topic.WALLET_TRANSACTIONS),
            ("obligations", "wallets"),
            "Who must deliver what, and when is it done?",
        ),
    )


STAGES: Final = stages(1)


def hops(flow: Sequence[Stage] = STAGES) -> Iterator[Hop]:
    """Yield every way from stage to stage, in flow order."""
    for writer in flow:
        for topic in writer.writes:
            for reader in flow:
                for read in reader.reads:
                    if read.topic is topic and read.from_stage in {None, writer.name}:
                        yield Hop(topic, writer.name, reader.name, _keeps_key(writer, topic, reader))


def _keeps_key(writer: Stage, topic: Topic, reader: Stage) -> bool:
    return writer.keyed is TOPICS[topic].keyed is reader.keyed


def check_outputs(stage: Stage, outputs: Sequence[Output]) -> None:
    """Refuse what a stage may not write.

    Raises:
        InvariantBroken: an output's topic is not among the stage's `writes`; it says what to do about it.
    """
    for topic, _, _, _ in outputs:
        if topic not in stage.writes:
            message = (
                f"{stage.name} wrote to {topic}: name it in the `writes` of the stage in flow.py, or do not"
            )
            raise InvariantBroken(message)


def problems(flow: Sequence[Stage] = STAGES) -> list[str]:
    """Return what is wrong with the topology, as instructions; an empty list is a sound flow."""
    return [*_topic_problems(flow), *_stage_problems(flow)]


def _topic_problems(flow: Sequence[Stage]) -> Iterator[str]:
    stage_names = {stage.name for stage in flow}
    for topic in TOPICS.values():
        writers = {stage.name for stage in flow if topic.name in stage.writes}
        readers = {stage.name for stage in flow if topic.name in {read.topic for read in stage.reads}}
        if topic.name is not Topic.DEAD_LETTERS and writers != stage_names.intersection(topic.written_by):
            yield f"{topic.name}: `written_by` says {topic.written_by}, the stages {sorted(writers)}"
        if readers != stage_names.intersection(topic.read_by):
            yield f"{topic.name}: `read_by` says {topic.read_by}, the stages {sorted(readers)}"
        if len(writers) > 1 and topic.name not in SHARED_LOGS:
            yield f"{topic.name}: {sorted(writers)} write it; give it one writer, or share it in SHARED_LOGS"
        if topic.key_field is not None and topic.key_field not in topic.record_type.__struct_fields__:
            yield f"{topic.name}: {topic.record_type.__name__} has no field {topic.key_field}"


def _stage_problems(flow: Sequence[Stage]) -> Iterator[str]:
    letters = [stage.letter for stage in flow]
    if len(set(letters)) < len(letters):
        yield f"letters {letters}: event_ids would collide, give each stage its own"
    for table in sorted({table for stage in flow for table in stage.tables}):
        owners = [stage.name for stage in flow if table in stage.tables]
        if table not in State.__slots__:
            yield f"table {table}: State has no such table"
        if len(owners) > 1 and table not in SHARED_TABLES:
            yield f"table {table}: {owners} write it; give it one owner, or share it in SHARED_TABLES"
