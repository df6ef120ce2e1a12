"""`tradesaga replay`: a recorded day through the real engine, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from tradesaga.bootstrap.replaying import ReplayOptions, Share
from tradesaga.bootstrap.replaying import replay as play
from tradesaga.bootstrap.rerunning import rerun_recorded
from tradesaga.bootstrap.scripting import ScriptOptions, edge_of
from tradesaga.bootstrap.simulated import START_CASH
from tradesaga.cli.exit_codes import ExitCode
from tradesaga.cli.flags import ConfigFile, Data
from tradesaga.cli.replay_rendering import replayed_text, rerun_text
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
    what_if: Path | None = None,
    journal: Path | None = None,
    html: Path | None = None,
    json: Path | None = None,
    recorded: Path | None = None,
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
    what_if
        A YAML file of keys below `risk`: play a second time under these limits, show what differs.
    journal
        Write the log to this file, a JSON line for each entry; `audit verify --file` checks it.
    html
        Write the report to this file as a page with plots; it needs nothing else.
    json
        Write the report to this file as JSON.
    recorded
        Play what `serve --record` noted in this directory instead, and compare.
    """
    if recorded is not None:
        return _recorded(recorded, config)
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
        what_if=what_if,
        journal=journal,
        html=html,
        json=json,
    )
    with _bar() as share:
        done = play(options, process_environment(), share)
    print("\n".join(replayed_text(done)))
    complaints = [*done.figures.complaints, *(done.other.complaints if done.other else ())]
    return ExitCode.FAILED if complaints else ExitCode.OK


def _recorded(directory: Path, config: Path | None) -> ExitCode:
    """Play every recorded life; whether all came out as they were."""
    differs = False
    for path, found in rerun_recorded(directory, config, process_environment()):
        print("\n".join(rerun_text(path.name, found)), flush=True)
        differs = differs or bool(found.divergences)
    return ExitCode.FAILED if differs else ExitCode.OK


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
