"""The outside wallet cases whose conventions are not ours, with what they say in our words.

- A bid there has a reserve price beside its price and is held at it; ours is held at its price. Such a bid goes in at
  its reserve price here, so that it holds the same, and what the case says of the reserve after that has no meaning.
- A fee there is an amount for each lot; ours is in basis points of the value, rounded down. The same orders are played
  with our fees, and each figure is worked out beside it.
"""

from bourse.pipeline.outputs import Record, Topic
from bourse.pipeline.simulate import SimEvent, Simulation
from bourse.schemas.records import (
    Account,
    Instrument,
    Order,
    OrderAction,
    OrderEvent,
    Side,
    TimeInForce,
    Trade,
    Wallet,
    WalletAction,
    WalletCommand,
)
from tests.scenarios.cases import Op, load

NOTHING = Wallet()
BY_NAME = {case.name: case for case in load()}


class Market:
    """One instrument, ETH for XBT, and its accounts."""

    def __init__(self, maker_fee_bps: int = 0, taker_fee_bps: int = 0) -> None:
        self.simulation = Simulation()
        self.number = 0
        instrument = Instrument(
            "ETH", currency="XBT", maker_fee_bps=maker_fee_bps, taker_fee_bps=taker_fee_bps
        )
        self.feed(Topic.INSTRUMENTS, instrument)

    def feed(self, topic: Topic, record: Record) -> list[Record]:
        return [event.record for event in self.simulation.feed(SimEvent(topic, None, record))]

    def fund(self, account: str, **assets: int) -> None:
        self.feed(Topic.ACCOUNTS, Account(account))
        for asset, amount in assets.items():
            self.number += 1
            deposit = WalletCommand(WalletAction.DEPOSIT, str(self.number), account, asset, amount)
            self.feed(Topic.WALLET_COMMANDS, deposit)

    def order(
        self,
        account: str,
        name: str,
        side: Side,
        quantity: int,
        price: int,
        lasts: TimeInForce = TimeInForce.GTC,
    ) -> list[Record]:
        new = Order(
            OrderAction.NEW,
            name,
            account,
            symbol="ETH",
            side=side,
            quantity=quantity,
            price=price,
            time_in_force=lasts,
        )
        return self.feed(Topic.ORDERS, new)

    def wallet(self, account: str, asset: str) -> Wallet:
        return self.simulation.state.wallets.get(f"{account}/{asset}") or NOTHING

    def usable(self, account: str, asset: str) -> int:
        """Return what is available, and what a trade brought in, though it settles a day later."""
        wallet = self.wallet(account, asset)
        return wallet.available + wallet.unsettled


def refusals(records: list[Record]) -> list[str | None]:
    return [record.reason for record in records if isinstance(record, OrderEvent) and record.reason]


def test_a_bid_is_held_at_its_reserve_price_and_a_better_fill_gives_back_the_difference() -> None:
    case = BY_NAME["ec_wallet_reserve_price_and_price_improvement"]
    assert case.wallet is not None
    terms = case.wallet.symbol
    market = Market()
    # Shares count in single units, so cash is scaled alike.
    for account, balances in case.wallet.initial.items():
        market.fund(
            account,
            **{asset: n * (terms.base_scale if asset == "XBT" else 1) for asset, n in balances.items()},
        )
    names: dict[int | None, str] = {}

    def send(number: int, op: Op) -> list[Record]:
        assert op.account is not None
        price = None if op.price is None else (op.reserve_price or op.price) * terms.quote_step
        name = f"{op.id}.{number}"
        if op.action == "new":
            names[op.id] = name
            quantity = (op.quantity or 0) * terms.base_scale
            return market.order(
                op.account, name, Side.BUY if op.side == "B" else Side.SELL, quantity, price or 0
            )
        action = OrderAction.CANCEL if op.action == "cancel" else OrderAction.REPLACE
        total = 0 if op.action == "cancel" else {202: 1_000, 203: 500}[op.id or 0] * terms.base_scale
        return market.feed(
            Topic.ORDERS, Order(action, name, op.account, names[op.id], quantity=total, price=price)
        )

    # Op 6 asks for a price above the reserve, and after op 8 the reserve is still held: neither has a meaning here.
    answers = {}
    for number, op in enumerate(case.orders):
        answers[number] = send(number, op)
        for checkpoint in case.wallet.checkpoints:
            if checkpoint.after_op == number != 8:
                for account, balances in checkpoint.balances.items():
                    for asset, amount in balances.items():
                        scaled = amount * terms.base_scale if asset == "XBT" else amount
                        assert market.usable(account, asset) == scaled, (number, account, asset)
    refused = {number: refusals(records) for number, records in answers.items() if refusals(records)}
    assert refused == {0: ["INSUFFICIENT_SHARES"], 4: ["INSUFFICIENT_CASH"]}
    assert [reject.op for reject in case.expected_rejects] == [0, 4, 6]
    fills = [r for records in answers.values() for r in records if isinstance(r, Trade)]
    assert [(fill.price, fill.quantity) for fill in fills] == [
        (17_500 * terms.quote_step, 500 * terms.base_scale)
    ] * 2


def test_the_highest_fee_is_part_of_the_hold_and_a_cancel_returns_all_of_it() -> None:
    # Given 30 at 11,400 with a taker fee of 19 bps: 342,000 and a fee of 649.8, of which 649 can be charged
    market = Market(maker_fee_bps=7, taker_fee_bps=19)
    market.fund("U2", XBT=342_000)
    # When it is sent without the fee, and one unit short of it
    assert refusals(market.order("U2", "a", Side.BUY, 30, 11_400)) == ["INSUFFICIENT_CASH"]
    market.fund("U2", XBT=648)
    assert refusals(market.order("U2", "b", Side.BUY, 30, 11_400)) == ["INSUFFICIENT_CASH"]
    # Then one unit more is enough, and a cancel gives everything back
    market.fund("U2", XBT=1)
    assert refusals(market.order("U2", "c", Side.BUY, 30, 11_400)) == []
    assert market.wallet("U2", "XBT") == Wallet(0, 342_649)
    market.feed(Topic.ORDERS, Order(OrderAction.CANCEL, "d", "U2", "c"))
    assert market.wallet("U2", "XBT") == Wallet(342_649, 0)


def test_a_maker_pays_its_fee_out_of_its_hold_and_a_taker_out_of_its_proceeds() -> None:
    market = Market(maker_fee_bps=7, taker_fee_bps=19)
    market.fund("U1", XBT=20_000_000)
    market.fund("U2", ETH=2_000)
    # Given a bid for 1,731 at 11,500: 19,906,500, held with 19 bps of it, 37,822.35
    market.order("U1", "101", Side.BUY, 1_731, 11_500)
    assert market.wallet("U1", "XBT") == Wallet(55_678, 19_944_322)
    # When 2,000 come in at 11,493 that do not rest
    market.order("U2", "102", Side.SELL, 2_000, 11_493, TimeInForce.IOC)
    # Then the maker pays 7 bps, 13,934.55, and has the rest of its fee reserve back
    assert market.wallet("U1", "XBT") == Wallet(20_000_000 - 19_906_500 - 13_934, 0)
    assert market.wallet("U1", "ETH") == Wallet(0, 0, 1_731)
    # And the taker earns the value less 19 bps, and has the 269 back that nobody bought
    assert market.wallet("U2", "XBT") == Wallet(0, 0, 19_906_500 - 37_822)
    assert market.wallet("U2", "ETH") == Wallet(269, 0)
