"""Bugs of what is decided: the book, wallets, holdings, settlement."""

from typing import Final

from tests.mutants.bug import Bug, bug

_BOOK = "bourse/pipeline/matching/book.py"
_EXECUTION = "bourse/pipeline/matching/execution.py"
_POSTINGS = "bourse/pipeline/positions/postings.py"
_MONEY = "bourse/pipeline/money.py"
_HOLDINGS = "bourse/pipeline/positions/holdings.py"
_SETTLEMENT = "bourse/pipeline/settlement.py"

BUGS: Final[tuple[Bug, ...]] = (
    bug(
        "the announcer leaves out a partition",
        "bourse/pipeline/announcer.py",
        "    for partition in range(partitions):",
        "    for partition in range(max(1, partitions - 1)):",
    ),
    bug(
        "last in, first out at a price",
        _BOOK,
        "        self.queue.append(place)",
        "        self.queue.insert(self.head, place)",
    ),
    bug(
        "prices that are equal do not cross",
        _BOOK,
        "level.price < limit if side is BUY else level.price > limit",
        "level.price <= limit if side is BUY else level.price >= limit",
    ),
    bug(
        "a partly filled order goes to the end of its queue",
        _BOOK,
        "            level.change(front, after, leaves - hidden)\n",
        "            level.leave(front)\n"
        "            front = self.places[order.order_id] = Place(after, front.is_buy, leaves - hidden)\n"
        "            level.join(front)\n",
    ),
    bug(
        "trades are at the aggressor's price",
        _EXECUTION,
        "    publish(turn, taker, maker, maker.price, quantity)",
        "    publish(turn, taker, maker, taker.price, quantity)",
    ),
    bug(
        "fees are computed in floats",
        _MONEY,
        "    return Cash(value * bps // BASIS_POINTS)",
        "    return Cash(round(value * bps / BASIS_POINTS))",
    ),
    bug(
        "the rest of an IOC order stays",
        "bourse/pipeline/matching/entry.py",
        "or left.time_in_force in AT_ONCE)",
        "and left.time_in_force in AT_ONCE)",
    ),
    bug(
        "a book that is built again forgets who came first",
        "bourse/pipeline/matching/turn.py",
        "        for row in sorted((row for _, row in state.resting_orders.scan(prefix)), key=_place):",
        "        for row in [row for _, row in state.resting_orders.scan(prefix)]:",
    ),
    bug(
        "depth by order shows what an iceberg hides",
        "bourse/pipeline/matching/by_order.py",
        "    displayed = Quantity(order.leaves_quantity - order.hidden_quantity)",
        "    displayed = order.leaves_quantity",
    ),
    bug(
        "depth by order forgets an order that has gone",
        "bourse/pipeline/matching/by_order.py",
        "            if was is not None:",
        "            if was is not None and not found:",
    ),
    bug(
        "a mass cancel leaves the newest order",
        "bourse/pipeline/matching/cancels.py",
        "    for order_id in own:",
        "    for order_id in [*own][: max(1, len(own) - 1)]:",
    ),
    bug(
        "the wall clock is the place in time",
        "bourse/pipeline/matching/turn.py",
        "        return order if order.sequence == self.place else replace(order, sequence=self.place)",
        '        return replace(order, sequence=__import__("time").time_ns())',
    ),
    bug(
        "trade ids are random",
        "bourse/pipeline/ids.py",
        '    return f"{shortened(place)}-{number}"',
        "    return f\"{shortened(place)}-{__import__('secrets').token_hex(8)}\"",
    ),
    bug(
        "a retry is executed again",
        "bourse/pipeline/validation/orders.py",
        "    if known is not None:\n        refusal,",
        "    if known is not None and known.digest != digest:\n        refusal,",
    ),
    bug(
        "a repeated deposit is paid again",
        "bourse/pipeline/risk/commands.py",
        "    if known is not None:",
        "    if known is not None and known.digest != digest:",
    ),
    bug(
        "the fee is not blocked",
        "bourse/pipeline/risk/new_orders.py",
        "        with_fee(value, fee_bps) if is_buy else order.quantity,",
        "        value if is_buy else order.quantity,",
    ),
    bug(
        "fees are rounded up",
        _MONEY,
        "    return Cash(value * bps // BASIS_POINTS)",
        "    return Cash(-(-value * bps // BASIS_POINTS))",
    ),
    bug(
        "a cancel gives nothing back",
        _POSTINGS,
        "    if back:\n        step =",
        "    if back and release.reason is not ReleaseReason.CANCELLED:\n        step =",
    ),
    bug(
        "a cancel gives back twice",
        _POSTINGS,
        "hold.asset, [step], time_ns, release.order_id)",
        "hold.asset, [step, step], time_ns, release.order_id)",
    ),
    bug(
        "what a better price saves is kept",
        _POSTINGS,
        "    back = max(0, hold.blocked - holds.reserve(hold))",
        "    back = 0",
    ),
    bug(
        "a sale moves no position",
        _HOLDINGS,
        "    change = trade.quantity if trade.side is _BUY else -trade.quantity",
        "    change = trade.quantity if trade.side is _BUY else 0",
    ),
    bug(
        "trades settle on their own date",
        _HOLDINGS,
        "settlement_date(trade.venue, trade.trade_date, trade.settlement_days)",
        "settlement_date(trade.venue, trade.trade_date, 0)",
    ),
    bug(
        "obligations are settled twice",
        _SETTLEMENT,
        "                _settle(state, outputs, row, time_ns)\n",
        "                _settle(state, outputs, row, time_ns)\n" * 2,
    ),
    bug(
        "an obligation forgets the fees of its later trades",
        _SETTLEMENT,
        "        Cash(before.fees + trade.fee),",
        "        before.fees,",
    ),
)
