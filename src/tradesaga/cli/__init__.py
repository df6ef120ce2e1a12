"""The command `tradesaga`: which commands there are, and how they end.

Commands are registered by name and imported when they run, so that `--help` and those that only
ask a running orchestrator start fast. Each returns its exit code, `exit_codes` tells of errors.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

from cyclopts import App, CycloptsError

from tradesaga import __version__
from tradesaga.cli.exit_codes import TRACEBACK_VARIABLE, ExitCode, told

COMMANDS: Final = {
    "up": ("up:up", "Run everything here: databases, the orchestrator, simulated neighbours."),
    "serve": ("serve:serve", "Run the orchestrator and its API."),
    "paper": ("paper:paper", "Run the neighbour services, simulated on recorded prices."),
    "replay": (
        "replay:replay",
        "Play recorded prices through the engine at once, without servers.",
    ),
    "migrate": ("migrate:migrate", "Bring the database's schema up to date, or show where it is."),
    "verify": ("verify:verify", "Check every invariant against the database and the venue."),
    "strategies": (
        "strategies:strategies",
        "List, make, change and delete strategies; let them act or not.",
    ),
    "nodes": ("nodes:nodes", "Show the nodes side by side, and which of them leads."),
    "checkpoints": (
        "checkpoints:checkpoints",
        "Show what was found and done after each start, and under which code and settings.",
    ),
    "audit": ("audit:audit", "List, check or export the hash-chained audit log."),
    "config": ("config:settings", "Show or check the configuration."),
    "status": ("control:status", "Show the agent, its cycles and its active strategies."),
    "start": ("control:start", "Run the agent."),
    "stop": ("control:stop", "Stop the agent; it stays stopped until start."),
    "pause": ("control:pause", "Enter no positions; exits and running trades go on."),
    "resume": ("control:resume", "End the pause."),
    "ladder": ("ladder:ladder", "Show what the agent may still do, and why."),
    "kill": ("ladder:kill", "Halt: send nothing any more, cancel own working entries."),
    "rearm": ("ladder:rearm", "End what was halted; takes a name and a reason."),
    "acknowledge": ("ladder:acknowledge", "Say that a person knows of a cause on the ladder."),
    "cycles": ("control:cycles", "List, show, cancel and watch cycles."),
    "schedules": ("schedules:schedules", "List, add, switch and trigger schedules."),
    "analyze": ("schedules:analyze", "Analyse a strategy now."),
    "sagas": ("sagas:sagas", "List, show and watch sagas; settle one that needs a person."),
    "approvals": (
        "approvals:approvals",
        "List orders that wait for an approval; approve or deny one.",
    ),
    "dead-letters": (
        "dead_letters:dead_letters",
        "List messages that had no effect; replay or discard one.",
    ),
    "events": (
        "events:events",
        "Watch the event bus, publish by hand or again, show the schemas.",
    ),
    "agents": ("agents:agents", "List, make and retire the agents beside the default one."),
    "token": ("tokens:token", "List, create, revoke and rotate the tokens of the API."),
    "limits": ("limits:limits", "Show the risk limits in force, change them, list the changes."),
    "retention": ("retention:retention", "Show what is kept where, or archive what is old."),
    "decisions": ("decisions:decisions", "List decisions and what the rules made of them."),
    "trace": ("trace:trace", "Show a decision from its market data to the position."),
    "why": ("why:why", "Say which rule blocked an order, by how much, and what would pass."),
    "positions": (
        "positions:positions",
        "Close a position; show locks and orders not ours.",
    ),
}


def _application() -> App:
    app = App(
        name="tradesaga",
        help="Orchestrator of an autonomous trading agent: durable trade sagas, exactly-once "
        "orders.",
        version=__version__,
    )
    for name, (target, text) in COMMANDS.items():
        app.command(f"tradesaga.cli.{target}", name=name, help=text)
    return app


def main(tokens: Sequence[str] | None = None) -> None:
    """Run the command that `tokens` (default: the process's arguments) name, and exit."""
    sys.exit(run(sys.argv[1:] if tokens is None else tokens))


def run(tokens: Sequence[str]) -> int:
    """Run a command; its exit code."""
    try:
        return int(
            _application()(
                tokens,
                exit_on_error=False,
                print_error=True,
                result_action="return_int_as_exit_code_else_zero",
            )
            or 0
        )
    except CycloptsError:  # told by cyclopts, with the usage
        return ExitCode.USAGE
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 -- the edge of the process
        return told(error, with_traceback=_traceback_wanted())


def _traceback_wanted() -> bool:
    from tradesaga.config import process_environment  # noqa: PLC0415 -- --help starts faster

    return process_environment().get(TRACEBACK_VARIABLE, "") not in ("", "0")
