"""What a person reads after the demonstration. Decides words, tables and colours only."""

from collections.abc import Iterator, Sequence

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from bourse.cli.demo import picture
from bourse.cli.demo.checks import Finding
from bourse.cli.demo.latency import PERCENTILES, Percentiles
from bourse.cli.demo.story import Story
from bourse.cli.demo.summary import HIDDEN, Summary
from bourse.cli.trading_day import BUSINESS_DATE, MADE_UP_SYMBOLS, NEXT_BUSINESS_DATE, SYMBOL

UNITS = 10_000
SHOWN_ACCOUNTS = 3
NONE = "-"
WIDTH = 120


def show(console: Console, story: Story, findings: Sequence[Finding], rate: float | None) -> None:
    """Print the whole report, at full width also to a file or a narrow terminal: figures that are cut off are no use."""
    wide = Console(file=console.file, width=max(console.width, WIDTH), highlight=False, soft_wrap=True)
    for part in _parts(story, findings, rate):
        wide.print(part)


def _parts(story: Story, findings: Sequence[Finding], rate: float | None) -> Iterator[RenderableType]:
    summary = story.summary
    yield _heading(
        f"{BUSINESS_DATE:%A %-d %B %Y}: Acciona ({SYMBOL}) as it was, and five made-up instruments"
    )
    yield _symbols(summary)
    yield _steps(summary)
    yield _heading(f"Best bid (green) and ask (red) of {SYMBOL}, EUR")
    yield from picture.draw(*summary.top_of_book.series())
    yield Text(_hours(), style="dim")
    yield _heading(f"Accounts that traded most, after settlement on {NEXT_BUSINESS_DATE}")
    yield _accounts(summary)
    yield _heading("Settlements")
    yield _settlements(summary)
    yield _heading("Latency, milliseconds")
    yield _latencies(story.latencies.percentiles())
    yield Text(_measured(rate), style="dim")
    yield _heading("What is known of this day, from the committed output topics alone")
    yield from _findings(findings)


def _heading(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def _table(*columns: str, left: int = 1) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place < left else "right", no_wrap=True)
    return table


def _symbols(summary: Summary) -> Table:
    table = _table("symbol", "messages", "new orders", "trades", "shares", "VWAP", "fees EUR")
    for symbol in (SYMBOL, *MADE_UP_SYMBOLS):
        day = summary.symbols[symbol]
        vwap = f"{day.value / day.shares / UNITS:.4f}" if day.shares else NONE
        counts = (day.messages, day.new_orders, day.trades, day.shares)
        table.add_row(symbol, *(f"{count:,}" for count in counts), vwap, _cash(day.fees))
    return table


def _steps(summary: Summary) -> Text:
    counts = sorted(summary.steps.items(), key=lambda item: (-item[1], item[0]))
    words = (
        f"{count:,} {status.lower().replace('_', ' ')}" for status, count in counts if status not in HIDDEN
    )
    return Text(f"What became of the orders: {', '.join(words)}.", style="dim")


def _hours() -> str:
    """Return the time axis: 9:00 to 17:35 local time, a mark at each second hour."""
    first, last = 9 * 60, 17 * 60 + 35
    line = " " * 9
    for hour in range(9, 18, 2):
        column = 9 + (hour * 60 - first) * picture.COLUMNS // (last - first)
        line = line.ljust(column) + f"{hour}:00"
    return line


def _accounts(summary: Summary) -> Table:
    columns = ("EUR", "shares", "average price", "realised", "unrealised", "trade legs", "fees")
    table = _table("account", "symbol", *columns, left=2)
    shown = [(SYMBOL, SHOWN_ACCOUNTS), *((symbol, 1) for symbol in MADE_UP_SYMBOLS[:2])]
    for symbol, count in shown:
        for account_id, day in summary.busiest(symbol, count):
            position = day.position
            cash = summary.wallets.get((account_id, "EUR"))
            if position and cash:
                table.add_row(
                    account_id,
                    symbol,
                    _cash(cash.available),
                    f"{position.quantity:,}",
                    f"{position.average_price / UNITS:.4f}",
                    _cash(position.realised_pnl),
                    _cash(position.unrealised_pnl),
                    f"{day.legs:,}",
                    _cash(day.fees),
                )
    return table


def _settlements(summary: Summary) -> Table:
    columns = ("obligations", "trade legs", "shares delivered", "EUR paid to sellers")
    table = _table("symbol", "settled on", *columns, left=2)
    for symbol, settled in sorted(summary.settled.items()):
        dates = ", ".join(str(date) for date in sorted(settled.dates))
        counts = (settled.obligations, settled.trade_legs, settled.shares)
        table.add_row(symbol, dates, *(f"{count:,}" for count in counts), _cash(settled.cash))
    return table


def _latencies(ways: Sequence[Percentiles]) -> Table:
    names = ("max" if percentile == PERCENTILES[-1] else f"p{percentile}" for percentile in PERCENTILES)
    table = _table("", "records", *names)
    for way in ways:
        table.add_row(way.way, f"{way.records:,}", *(f"{value:,.0f}" for value in way.values_ms))
    return table


def _measured(rate: float | None) -> str:
    offered = f"{rate:,.0f} orders/s published" if rate else "everything published at once, so mostly waiting"
    return (
        f"With {offered}: from Kafka's own timestamp of the order (when the broker appended it) to the moment "
        "a read_committed consumer in this command had the trade leg, or the obligation it became part of."
    )


def _findings(findings: Sequence[Finding]) -> Iterator[Text]:
    for finding in findings:
        mark, style = ("✔", "green") if finding.holds else ("✘", "bold red")
        detail = "dim" if finding.holds else "red"
        yield Text.assemble((mark, style), f" {finding.equation}: ", (finding.detail, detail))


def _cash(units: int) -> str:
    return f"{units / UNITS:,.2f}"
