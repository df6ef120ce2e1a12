"""`tradesaga replay`: a recorded day through the real engine, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from tradesaga.bootstrap.replaying import Replayed, ReplayOptions, Share
from tradesaga.bootstrap.replaying import replay as play
from tradesaga.bootstrap.scripting import ScriptOptions, edge_of
from tradesaga.bootstrap.simulated import START_CASH
from tradesaga.cli.exit_codes import ExitCode
from tradesaga.cli.flags import ConfigFile, Data
from tradesaga.cli.rendering import table
from tradesaga.config import process_environment


def replay(
    *,
    data: Data = None,
    begin: Annotated[str | None, Parameter(name="--from")] = None,
    end: Annotated[str | None, Parameter(name="--to")] = None,
    seed: int = 1,
    strategies: Path | None = None,
    config: ConfigFile = None,
    start_cash: Decimal = START_CASH,
    journal: Path | None = None,
    json: Path | None = None,
) -> int:
    """Play recorded prices through the engine on virtual time; no servers, the same every time.

    0 if no cycle failed, nothing is left open and no invariant broke, else 1.

    Parameters
    ----------
    data
        CSV files of minute bars and quotes, or folders of them; four SPY sessions without it.
    begin
        The first day, or a moment such as 2020-12-15T15:00:00Z; what was recorded before is known.
    end
        The last day, or the moment at which to end.
    seed
        Which delays the simulated venue draws, and which ids are given.
    strategies
        A YAML or JSON file of strategies; without it one of each kind over the recorded symbols.
    config
        The YAML file; without it defaults and environment.
    start_cash
        Dollars in the account.
    journal
        Write the log to this file, a JSON line for each entry; `audit verify --file` checks it.
    json
        Write the report to this file as JSON.
    """
    options = ReplayOptions(
        script=ScriptOptions(
            data=tuple(data or ()),
            begin=edge_of(begin, "--from"),
            end=edge_of(end, "--to"),
            seed=seed,
            strategies=strategies,
            config=config,
            start_cash=start_cash,
        ),
        journal=journal,
        json=json,
    )
    with _bar() as share:
        done = play(options, process_environment(), share)
    print("\n".join(_lines(done)))
    return ExitCode.FAILED if done.figures.complaints else ExitCode.OK


@contextmanager
def _bar() -> Iterator[Share]:
    """A bar over the recording on a terminal, nothing elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    columns = TextColumn("replay"), BarColumn(), TaskProgressColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("replay", total=1.0)
        yield lambda share: progress.update(task, completed=share)


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


def _listed(counts: object) -> str:
    assert isinstance(counts, dict)
    parts = ", ".join(f"{number:,} {name}" for name, number in counts.items())
    return f"{sum(counts.values()):,}" + (f" ({parts})" if parts else "")


def _speed(done: Replayed) -> str:
    cycles = sum(number for name, number in done.figures.cycles.items() if "analysis" in name)
    played = sum((end - begin for begin, end in done.figures.sessions), timedelta())
    rate = played.total_seconds() / done.seconds
    return (
        f"{done.seconds:.2f} s, {cycles / done.seconds:,.0f} analysis cycles/s, {rate:,.0f}x real"
    )
