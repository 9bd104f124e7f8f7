"""The outside cases of `matching.jsonl` and `further.jsonl`: what each one needs, and its translation into our messages.

Each case has its source, licence and commit beside it in the file. Conventions that differ are translated here:
`qty` of a modify is the open quantity after the change, ours is the new total with what is filled included; a reduce
takes away from the open quantity; rejects are named otherwise; and a wallet case counts in lots and quote steps.
"""

import json
from pathlib import Path
from typing import Final

import msgspec

FILES: Final = ("matching.jsonl", "further.jsonl")

REASONS: Final = {
    "UNKNOWN_ORDER": "ORDER_FINISHED",
    "DUPLICATE_ID": "DUPLICATE_ORDER_ID",
    "FOK": "FOK_NOT_FILLABLE",
    "POST_ONLY": "POST_ONLY_WOULD_TAKE",
    "LULD": "BAND_BREACHED",
    "HALTED": "SYMBOL_HALTED",
}


class Op(msgspec.Struct, rename={"order_type": "type", "quantity": "qty", "time_in_force": "tif"}):
    """One message of a case."""

    action: str
    id: int | None = None
    side: str | None = None
    order_type: str = "LIMIT"
    price: int | None = None
    quantity: int | None = None
    time_in_force: str = "GTC"
    account: str | None = None
    stop: int | None = None
    peak: int | None = None
    stp: str | None = None
    trail: int | None = None
    oco: str | None = None
    expiry: int | None = None
    reserve_price: int | None = None
    post_only: bool = False
    t: int | None = None


class Print(msgspec.Struct, rename={"quantity": "qty"}):
    """One expected trade."""

    taker: int | str
    maker: int | list[int]
    price: int
    quantity: int


class Reject(msgspec.Struct):
    """One expected reject, of the op with that number."""

    op: int
    reason: str


class FinalBook(msgspec.Struct):
    """Each side as price and queue of id and open quantity."""

    bids: list[tuple[int, list[tuple[int, int]]]]
    asks: list[tuple[int, list[tuple[int, int]]]]


class Deposit(msgspec.Struct):
    """Money or shares that come in before an op."""

    before_op: int
    account: str
    asset: str
    amount: int


class Checkpoint(msgspec.Struct):
    """What is available after an op, by account and asset."""

    after_op: int
    balances: dict[str, dict[str, int]]


class WalletTerms(msgspec.Struct):
    """How the case counts."""

    symbol: str
    base_scale: int
    quote_step: int
    taker_fee_per_lot: int = 0
    maker_fee_per_lot: int = 0


class WalletCase(msgspec.Struct):
    """The account side of a case."""

    symbol: WalletTerms
    initial: dict[str, dict[str, int]]
    checkpoints: list[Checkpoint]
    deposits: list[Deposit] = []


class Config(msgspec.Struct):
    """How the market of a case is set up: the dynamic band and its pause, and accounts of one owner."""

    luld_bps: int | None = None
    luld_halt: int = 0
    stp_groups: dict[str, str] = {}


class Case(msgspec.Struct):
    """One case of the file."""

    name: str
    orders: list[Op]
    expected_trades: list[Print]
    expected_final_book: FinalBook
    expected_rejects: list[Reject]
    expected_statuses: dict[int, str]
    config: Config = msgspec.field(default_factory=Config)
    expected_cancel_order: list[int] | None = None
    wallet: WalletCase | None = None


def load() -> list[Case]:
    """Return every case of the files."""
    decode = msgspec.json.Decoder(Case).decode
    return [decode(line) for line in _lines()]


def sources() -> list[dict[str, str]]:
    """Return where each case was taken from."""
    return [json.loads(line)["source"] for line in _lines()]


def _lines() -> list[str]:
    return [line for name in FILES for line in (Path(__file__).parent / name).read_text().splitlines()]


def waits_for(case: Case) -> frozenset[str]:
    """Return the features that a case needs and the exchange does not have."""
    terms = None if case.wallet is None else case.wallet.symbol
    needed = {
        "reserve prices": any(
            op.reserve_price is not None and op.reserve_price != op.price for op in case.orders
        ),
        "fees per lot": terms is not None and bool(terms.taker_fee_per_lot or terms.maker_fee_per_lot),
    }
    return frozenset(feature for feature, is_needed in needed.items() if is_needed)
