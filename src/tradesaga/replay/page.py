"""The report as one HTML page: no script, no font, no picture from elsewhere, all text escaped.

With a comparison it shows the second run beside the first: both curves, and what differs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from html import escape

from tradesaga.replay.comparison import Comparison, LineChange
from tradesaga.replay.figures import Counts, Figures
from tradesaga.replay.plot import Curve, drawdown_plot, equity_plot
from tradesaga.replay.styles import STYLES

LINES_MAX = 2_000
"""Rows of a table; the JSON report has all."""
BASELINE, WHAT_IF = "as configured", "with other limits"
_Row = Sequence[object]


def page(figures: Figures, other: Figures | None = None, changes: Comparison | None = None) -> str:
    """The page of one run, or of two and what differs between them."""
    curves = [Curve(name=BASELINE, style="first", points=figures.curve)]
    if other is not None:
        curves.append(Curve(name=WHAT_IF, style="second", points=other.curve))
    days = f"{_day(figures.sessions[0][0])} to {_day(figures.sessions[-1][1])}"
    title = f"Replay {', '.join(figures.symbols)}, {days}"
    parts = [
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLES}</style></head><body><main>",
        f"<h1>{escape(title)}</h1>",
        *_complaints(figures),
        _tiles(figures, other),
        _legend(curves) if other is not None else "",
        "<h2>Equity</h2>",
        equity_plot(curves),
        "<h2>Drawdown</h2>",
        drawdown_plot(curves),
        *(_differences(changes) if changes is not None else ()),
        *_tables(figures),
        _provenance(figures),
        "</main></body></html>\n",
    ]
    return "\n".join(part for part in parts if part)


def _complaints(figures: Figures) -> Iterator[str]:
    for complaint in figures.complaints:
        yield f'<p class="wrong">{escape(complaint)}</p>'


def _tiles(figures: Figures, other: Figures | None) -> str:
    tiles = [
        _tile(name, first, "" if other is None else second)
        for (name, first), (_, second) in zip(
            _headlines(figures), _headlines(other or figures), strict=True
        )
    ]
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _headlines(figures: Figures) -> list[tuple[str, str]]:
    fall, filled = figures.drawdown, figures.orders.get("filled", 0)
    analyses = sum(number for name, number in figures.cycles.items() if "analysis" in name)
    return [
        ("Profit and loss", f"{figures.profit:+,.2f}"),
        ("Equity", f"{figures.equity:,.2f}"),
        ("Deepest drawdown", f"{fall.amount:,.2f} ({fall.percent:.2f} %)"),
        ("Orders filled", f"{filled:,} of {sum(figures.orders.values()):,}"),
        ("Decisions blocked", f"{_blocked(figures):,}"),
        ("Analysis cycles", f"{analyses:,}"),
    ]


def _blocked(figures: Figures) -> int:
    return sum(number for name, number in figures.decisions.items() if name.endswith("denied"))


def _tile(name: str, first: str, second: str) -> str:
    below = f'<span class="other">{escape(second)}</span>' if second else ""
    return f'<div><span class="name">{name}</span><strong>{escape(first)}</strong>{below}</div>'


def _legend(curves: Iterable[Curve]) -> str:
    items = (f'<span class="{curve.style}">{escape(curve.name)}</span>' for curve in curves)
    return f'<p class="legend">{" ".join(items)}</p>'


def _differences(changes: Comparison) -> Iterator[str]:
    limits = [(one.key, one.before, one.after) for one in changes.limits]
    numbers = [
        (one.group, one.name, _plain(one.before), _plain(one.after), f"{one.difference:+f}")
        for one in changes.numbers
    ]
    yield _table("Limits that differ", ("Key", "Before", "After"), limits)
    yield _table("Figures", ("", "", "Before", "After", "Difference"), numbers, right=(2, 3, 4))
    columns = ("At", "Strategy", "Symbol", "Before", "After")
    yield _table("Decisions that differ", columns, _changed(changes.decisions))
    yield _table("Orders that differ", columns, _changed(changes.orders))


def _changed(lines: Iterable[LineChange]) -> list[_Row]:
    return [(_at(one.at), one.strategy, one.symbol, one.before, one.after) for one in lines]


def _tables(figures: Figures) -> Iterator[str]:
    strategies = [
        (one.name, f"{one.pnl:+,.2f}", one.trades, f"{100 * one.win_rate:.0f} %")
        for one in figures.strategies
    ]
    yield _table("Strategies", ("Strategy", "P&L", "Trades", "Won"), strategies, right=(1, 2, 3))
    counted = [
        ("cycles", figures.cycles),
        ("skipped ticks", figures.skipped),
        ("decisions", figures.decisions),
        ("blocks by rule", figures.blocks),
        ("orders", figures.orders),
        ("fills", figures.fills),
        ("sagas", figures.sagas),
    ]
    rows = [row for name, counts in counted for row in _counts(name, counts)]
    yield _table("Counts", ("", "", "Number"), rows, right=(2,))
    blocked = [
        (_at(one.at), one.strategy, one.symbol, f"{one.action} {one.quantity:f}",
         ", ".join(one.codes), one.why)
        for one in figures.decision_list
        if one.codes
    ]  # fmt: skip
    header = ("At", "Strategy", "Symbol", "Decision", "Rules", "Why")
    yield _table("Blocked decisions", header, blocked)
    orders = [
        (_at(one.at), one.strategy, one.symbol, one.side, _plain(one.quantity), _plain(one.filled),
         "" if one.price is None else _plain(one.price), one.status)
        for one in figures.order_list
    ]  # fmt: skip
    columns = ("At", "Strategy", "Symbol", "Side", "Quantity", "Filled", "Price", "Status")
    yield _table("Orders", columns, orders, right=(4, 5, 6))


def _counts(name: str, counts: Counts) -> Iterator[_Row]:
    for number, (what, count) in enumerate(counts.items()):
        yield (name if number == 0 else "", what, f"{count:,}")


def _provenance(figures: Figures) -> str:
    rows = [
        ("Seed", figures.seed),
        ("Configuration", figures.config_hash),
        ("Data", figures.data),
        ("Log", f"{figures.log_entries:,} entries"),
        ("Hash of the log", figures.log_hash),
    ]
    return _table("What repeats this run", ("", ""), rows)


def _table(title: str, header: Sequence[str], rows: Sequence[_Row], right: _Row = ()) -> str:
    if not rows:
        return ""

    def cell(tag: str, column: int, value: object) -> str:
        align = ' class="number"' if column in right else ""
        return f"<{tag}{align}>{escape(str(value))}</{tag}>"

    def line(tag: str, row: _Row) -> str:
        return f"<tr>{''.join(cell(tag, n, value) for n, value in enumerate(row))}</tr>"

    body = "\n".join(line("td", row) for row in rows[:LINES_MAX])
    left = len(rows) - LINES_MAX
    more = f"<p>{left:,} more are in the JSON report.</p>" if left > 0 else ""
    head = f"<thead>{line('th', header)}</thead>" if any(header) else ""
    return (
        f"<h2>{escape(title)}</h2><div class='scroll'><table>{head}<tbody>{body}</tbody></table>"
        f"</div>{more}"
    )


def _plain(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _at(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"
