"""`tradesaga serve`: the orchestrator as a process of its own."""

from __future__ import annotations

from pathlib import Path

import uvloop

from tradesaga.bootstrap.recording import RecordingLoop
from tradesaga.bootstrap.serving import ServeOptions
from tradesaga.bootstrap.serving import serve as serve_until
from tradesaga.cli.exit_codes import ExitCode
from tradesaga.cli.flags import ConfigFile, Port
from tradesaga.cli.signals import END_SECONDS_MAX, run_until_signalled
from tradesaga.config import load, process_environment
from tradesaga.embedded.state import default_state_dir


def serve(
    *,
    config: ConfigFile = None,
    host: str | None = None,
    port: Port | None = None,
    market_clock: Path | None = None,
    strategies: Path | None = None,
    default_strategies_for: str | None = None,
    allow_remote: bool = False,
    record: Path | None = None,
    state_dir: Path | None = None,
) -> int:
    """Run the orchestrator and its API until SIGTERM or Ctrl-C.

    Parameters
    ----------
    config
        The YAML file; without it defaults and environment.
    host
        Where the API listens; overrides `server.host`.
    port
        Its port; overrides `server.port`.
    market_clock
        The file of market time that the player of a recording writes; real time without it.
    strategies
        A YAML or JSON file of strategies that are added if they are new.
    default_strategies_for
        Symbols, separated by commas: add the built-in strategies over them.
    allow_remote
        Listen on an address that other machines reach, in plain HTTP: put TLS in front of it.
    record
        Note in this directory what is asked, told and done, for `tradesaga replay --recorded`.
    state_dir
        Where the kill switch leaves its marks; a file HALT there halts. As that of `up`.
    """
    flags = {"server.host": host, "server.port": None if port is None else str(port)}
    overrides = {path: value for path, value in flags.items() if value is not None}
    loaded = load(config, process_environment(), overrides)
    symbols = (default_strategies_for or "").split(",")
    options = ServeOptions(
        market_clock=market_clock,
        strategies=strategies,
        default_strategies_for=tuple(filter(None, map(str.strip, symbols))),
        allow_remote=allow_remote,
        record=record,
        state_dir=(state_dir or default_state_dir()).resolve(),
    )
    run_until_signalled(
        lambda stop: serve_until(loaded, options, stop),
        loop_factory=uvloop.new_event_loop if record is None else RecordingLoop,
        end_seconds_max=END_SECONDS_MAX,
    )
    return ExitCode.OK
