"""`tradesaga up`: everything on this machine under one supervisor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators
from rich.console import Console

from tradesaga.bootstrap.display import Display
from tradesaga.bootstrap.up import UpOptions
from tradesaga.bootstrap.up import up as run_everything
from tradesaga.cli.exit_codes import ExitCode
from tradesaga.cli.flags import ConfigFile, Data, Governor, Port, Speed, Spoken
from tradesaga.cli.signals import run_until_signalled
from tradesaga.config import process_environment
from tradesaga.embedded.state import default_state_dir
from tradesaga.paper.settings import Dialect


def up(
    *,
    paper: Annotated[bool, Parameter(negative=())] = False,
    data: Data = None,
    host: str | None = None,
    port: Port | None = None,
    state_dir: Path | None = None,
    speed: Speed = 60.0,
    strategies: Path | None = None,
    config: ConfigFile = None,
    exit_at_end: Annotated[bool, Parameter(negative=())] = False,
    fresh: Annotated[bool, Parameter(negative=())] = False,
    governor: Governor = True,
    allow_remote: Annotated[bool, Parameter(negative=())] = False,
    record: Path | None = None,
    nodes: Annotated[int, Parameter(validator=validators.Number(gte=1, lte=9))] = 1,
    dialect: Spoken = Dialect.SPECIFICATION,
) -> int:
    """Run databases, orchestrator and, with --paper, simulated neighbours until Ctrl-C.

    Postgres and NATS are started here unless DB_HOST, DB_PORT and NATS_URL name others.

    Parameters
    ----------
    paper
        Play recorded prices to a simulated market and let the agent trade on them.
    data
        CSV files of minute bars and quotes, or folders of them; four SPY sessions without it.
    host
        Where the API listens, 127.0.0.1 without it.
    port
        Its port, 3005 without it; 0 takes a free one and keeps it.
    state_dir
        Where everything is kept; a second start goes on there.
    speed
        How many times real time, at most.
    strategies
        A YAML or JSON file of strategies; without it one of each kind over the recorded symbols.
    config
        The YAML file; without it defaults and environment.
    exit_at_end
        End after the last bar: 0 if no cycle failed and no invariant broke, else 1.
    fresh
        Put the former replay of this state directory aside and begin anew.
    allow_remote
        Listen on an address that other machines reach, in plain HTTP: put TLS in front of it.
    record
        Note in this directory what the orchestrator asks, is told and does, to replay it.
    nodes
        How many orchestrators: one leads, the others stand by and take over when it fails.
    """
    options = UpOptions(
        state_dir=(state_dir or default_state_dir()).resolve(),
        paper=paper,
        data=tuple(data or ()),
        speed=speed,
        governor=governor,
        strategies=strategies,
        config=config,
        host=host,
        port=port,
        allow_remote=allow_remote,
        exit_at_end=exit_at_end,
        fresh=fresh,
        record=record,
        nodes=nodes,
        dialect=dialect,
    )
    return _run(options)


def _run(options: UpOptions) -> int:
    with Display(Console(highlight=False)) as display:
        good = run_until_signalled(
            lambda stop: run_everything(options, process_environment(), display, stop)
        )
    return ExitCode.OK if good else ExitCode.FAILED
