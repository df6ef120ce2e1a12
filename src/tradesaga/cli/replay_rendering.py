"""What a replay came to, as text for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from tradesaga.bootstrap.replaying import Replayed
from tradesaga.cli.rendering import number, section, table
from tradesaga.replay.comparison import Comparison, LineChange
from tradesaga.replay.divergence import Rerun
from tradesaga.replay.figures import Counts

LINES_MAX: Final = 40
"""Of decisions or orders that differ; the reports have all."""


def replayed_text(done: Replayed) -> list[str]:
    """The run, and what another one did differently."""
    changes = [] if done.changes is None else list(_changes(done.changes))
    return [*_lines(done), *changes]


def rerun_text(name: str, found: Rerun) -> list[str]:
    """A recorded life against its replay."""
    differing = len(found.divergences)
    verdict = f"{differing:,} differences" if differing else "all as recorded"
    head = f"{name}  {found.decisions:,} decisions, {found.orders:,} orders: {verdict}"
    rows = [(one.what, one.recorded, one.replayed) for one in found.divergences[:LINES_MAX]]
    lines = table(("WHAT", "RECORDED", "REPLAYED"), rows) if rows else []
    if (left := differing - LINES_MAX) > 0:
        lines.append(f"and {left:,} more")
    if differing and found.astray:
        lines.append(f"went another way with: {found.astray}")
    lines += [f"asked, but not on the tape: {what}" for what in found.unanswered[:LINES_MAX]]
    lines += [
        f"being written when the recording ends: {what}" for what in found.cut_off[:LINES_MAX]
    ]
    return [head, *lines]


def _lines(done: Replayed) -> Iterator[str]:
    figures = done.figures
    first, last = figures.sessions[0][0], figures.sessions[-1][1]
    days = f"{len(figures.sessions)}, {first:%Y-%m-%d} to {last:%Y-%m-%d}"
    fall = figures.drawdown
    rows = [
        ("sessions", f"{days}, {', '.join(figures.symbols)}"),
        ("cycles", _listed(figures.cycles)),
        ("decisions", _listed(figures.decisions)),
        ("blocks", _listed(figures.blocks)),
        ("orders", _listed(figures.orders)),
        ("fills", _listed(figures.fills)),
        ("P&L", f"{figures.profit:+,.2f}, equity {figures.equity:,.2f}"),
        ("drawdown", f"{fall.amount:,.2f}, {fall.percent:.2f} %"),
        ("sagas", _listed(figures.sagas)),
        ("log", f"{figures.log_entries:,} entries, {figures.log_hash}"),
        ("seed", f"{figures.seed}, configuration {figures.config_hash[:16]}"),
        ("speed", _speed(done)),
    ]
    yield from table((), rows)
    yield from (f"WRONG  {complaint}" for complaint in figures.complaints)
    if done.other is not None:
        yield from (f"WRONG  {each}, under other limits" for each in done.other.complaints)


def _listed(counts: Counts) -> str:
    parts = ", ".join(f"{number:,} {name}" for name, number in counts.items())
    return f"{sum(counts.values()):,}" + (f" ({parts})" if parts else "")


def _speed(done: Replayed) -> str:
    cycles = sum(number for name, number in done.figures.cycles.items() if "analysis" in name)
    played = sum((end - begin for begin, end in done.figures.sessions), timedelta())
    rate = played.total_seconds() / done.seconds
    return (
        f"{done.seconds:.2f} s, {cycles / done.seconds:,.0f} analysis cycles/s, {rate:,.0f}x real"
    )


def _changes(changes: Comparison) -> Iterator[str]:
    limits = [(one.key, one.before, one.after) for one in changes.limits]
    yield from section("other limits", table(("KEY", "BEFORE", "AFTER"), limits))
    rows = [
        (one.group, one.name, number(one.before), number(one.after), f"{one.difference:+f}")
        for one in changes.numbers
    ]
    header = ("", "", "BEFORE", "AFTER", "DIFFERENCE")
    yield from section("what differs", table(header, rows, right=(2, 3, 4)))
    yield from section("decisions", _line_changes(changes.decisions))
    yield from section("orders", _line_changes(changes.orders))
    if not changes.decisions:
        yield "no decision differs"


def _line_changes(changes: Sequence[LineChange]) -> list[str]:
    rows = [
        (f"{one.at:%Y-%m-%d %H:%M}Z", one.strategy, one.symbol, one.before, one.after)
        for one in changes[:LINES_MAX]
    ]
    if not rows:
        return []
    lines = table(("AT", "STRATEGY", "SYMBOL", "BEFORE", "AFTER"), rows)
    left = len(changes) - LINES_MAX
    return [*lines, f"and {left:,} more, see the report"] if left > 0 else lines
