"""Commands on old rows: what is kept where, and archiving now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from cyclopts import App

from tradesaga.cli.asking import tell
from tradesaga.cli.client import CallFailed, Server, call, decoded
from tradesaga.cli.exit_codes import ExitCode
from tradesaga.cli.rendering import moment, table

HERE: Final = Server()
TIME_MAX_SECONDS: Final = 30.0
"""A run takes a few seconds, and may wait for the one under way."""
_UNITS: Final = ((86_400_000, "days"), (3_600_000, "hours"), (60_000, "minutes"), (1, "ms"))

retention = App(name="retention", help="Show what is kept where, or archive what is old.")


@retention.command(name="show")
async def show(*, server: Server = HERE) -> int:
    """Show how long rows stay in the working tables, the last run, and what the tables take."""
    return await tell(server, call(server, "GET", "/retention"), _report)


@retention.command(name="run")
async def run_now(*, server: Server = HERE) -> int:
    """Archive what is due now, for a few seconds at most; run it again while there is more.

    Ends with 1 when something went wrong on the way; what was moved before that stays moved.
    """
    try:
        body = await call(server, "POST", "/retention/run", time_max=TIME_MAX_SECONDS)
    except CallFailed as failure:
        return failure.tell()
    run = decoded(body)
    print(body.decode() if server.output == "json" else "\n".join(_run(run)))
    return ExitCode.FAILED if run["problem"] else ExitCode.OK


def _report(report: Mapping[str, Any]) -> list[str]:
    kept = [("every", _span(report["intervalMs"]))]
    kept += [(kind, _span(kept_ms)) for kind, kept_ms in report["keptMs"].items()]
    last = report["lastRun"]
    tables = [
        (
            one["name"],
            f"{one['rows']:,}",
            _size(one["bytes"]),
            f"{one['archivedRows']:,}",
            _size(one["archivedBytes"]),
        )
        for one in report["tables"]
    ]
    header = ("TABLE", "ROWS", "SIZE", "ARCHIVED", "SIZE")
    return [
        *table((), kept),
        "",
        *(["no run yet"] if last is None else _run(last)),
        "",
        *table(header, tables, right=(1, 2, 3, 4)),
    ]


def _run(run: Mapping[str, Any]) -> list[str]:
    moved = ", ".join(f"{count:,} {name}" for name, count in run["rows"].items() if count)
    lines = [f"{moment(run['beganAt'])}: {moved or 'nothing was due'}"]
    if run["problem"]:
        lines.append(f"ended early: {run['problem']}")
    elif not run["complete"]:
        lines.append("more is due")
    return lines


def _span(milliseconds: int) -> str:
    if milliseconds == 0:
        return "for ever"
    size, name = next(unit for unit in _UNITS if milliseconds % unit[0] == 0)
    return f"{milliseconds // size} {name}"


def _size(number: int) -> str:
    return f"{number / 2**20:,.1f} MiB"
