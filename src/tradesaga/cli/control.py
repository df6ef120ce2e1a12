"""Commands that speak to a running orchestrator over its API.

The root application registers them by name ("tradesaga.cli.control:status"), so that the HTTP
client is imported only when one of them runs. Each returns an exit code of `cli.exit_codes`.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated, Final, Literal, NoReturn
from urllib.parse import quote

from cyclopts import App, Parameter, validators

from tradesaga.cli.asking import one_line, patient, tell, wait
from tradesaga.cli.client import CallFailed, Server, call, decoded
from tradesaga.cli.exit_codes import ExitCode
from tradesaga.cli.flags import PageSize
from tradesaga.cli.rendering import (
    cycle_line,
    cycle_text,
    cycles_text,
    paused_text,
    resumed_text,
    started_text,
    status_text,
    stopped_text,
)

HERE: Final = Server()
STOP_TIME_MAX: Final = 120.0
"""Seconds: the orchestrator drives open trades to an end before it answers."""
WATCHED_MAX: Final = 500
"""Cycles asked for at once; a recorded day at 600 times real time ends 30 in a second."""

cycles = App(name="cycles", help="List, show, cancel and watch cycles.")

Reason = Annotated[str, Parameter(help="Why, for the audit log; not blank.")]
Positive = validators.Number(gt=0)


async def status(*, server: Server = HERE) -> int:
    """Show the agent, its cycles and its active strategies."""
    return await tell(server, call(server, "GET", "/agent/status"), status_text)


async def start(
    *,
    strategies: str | None = None,
    mode: Literal["normal", "conservative", "aggressive"] | None = None,
    server: Server = HERE,
) -> int:
    """Run the agent.

    Parameters
    ----------
    strategies
        Ids or external ids, separated by commas: run just these.
    mode
        The risk profile; kept as it is when not given.
    """
    names = None if strategies is None else [name.strip() for name in strategies.split(",")]
    fields = {"strategies": names, "mode": mode}
    return await tell(server, call(server, "POST", "/agent/start", fields=fields), started_text)


async def stop(
    *,
    reason: str | None = None,
    cancel_open_orders: bool = False,
    server: Server = HERE,
) -> int:
    """Stop the agent; it stays stopped until start. Positions are kept.

    Parameters
    ----------
    reason
        Why, for the audit log.
    cancel_open_orders
        Cancel open entry orders as well.
    """
    fields = {"reason": reason, "cancelOpenOrders": cancel_open_orders}
    answer = call(server, "POST", "/agent/stop", fields=fields, time_max=STOP_TIME_MAX)
    return await tell(server, answer, stopped_text)


async def pause(
    *,
    duration: Annotated[float | None, Parameter(validator=Positive)] = None,
    reason: str | None = None,
    server: Server = HERE,
) -> int:
    """Enter no positions; exits, running trades and heartbeats go on.

    Parameters
    ----------
    duration
        Minutes until the agent goes on by itself; until resume when not given.
    reason
        Why, for the audit log.
    """
    fields = {"duration": duration, "reason": reason}
    return await tell(server, call(server, "POST", "/agent/pause", fields=fields), paused_text)


async def resume(*, reason: str | None = None, server: Server = HERE) -> int:
    """End the operator's pause; other reasons that remain are named.

    Parameters
    ----------
    reason
        Why, for the audit log.
    """
    fields = {"reason": reason}
    return await tell(server, call(server, "POST", "/agent/resume", fields=fields), resumed_text)


@cycles.command(name="ls")
async def list_cycles(
    *,
    limit: PageSize = 20,
    status: Literal["completed", "failed", "cancelled"] | None = None,
    server: Server = HERE,
) -> int:
    """List the latest cycles, latest first.

    Parameters
    ----------
    limit
        How many, 1 to 1000.
    status
        Only cycles that ended so.
    """
    query: dict[str, str | int] = {"limit": limit}
    if status is not None:
        query["status"] = status
    return await tell(server, call(server, "GET", "/cycles", query=query), cycles_text)


@cycles.command(name="show")
async def show_cycle(cycle_id: str, /, *, server: Server = HERE) -> int:
    """Show a cycle with its decisions, orders and log lines.

    Parameters
    ----------
    cycle_id
        The id from the list.
    """
    return await tell(server, call(server, "GET", _path_of(cycle_id)), cycle_text)


@cycles.command(name="cancel")
async def cancel_cycle(cycle_id: str, /, *, reason: Reason, server: Server = HERE) -> int:
    """Cancel a running cycle: it asks for no more; an order that it began goes on by its saga.

    Parameters
    ----------
    cycle_id
        The id from the list.
    """
    answer = call(server, "POST", f"{_path_of(cycle_id)}/cancel", fields={"reason": reason})
    return await tell(server, answer, cycle_text)


@cycles.command(name="watch")
async def watch_cycles(
    cycle_id: str | None = None,
    /,
    *,
    interval: Annotated[float, Parameter(validator=Positive)] = 1.0,
    timeout: Annotated[float | None, Parameter(validator=Positive)] = None,  # noqa: ASYNC109  # the flag's name
    server: Server = HERE,
) -> int:
    """Print cycles as they end, until Ctrl-C; or wait for the end of one.

    With an id: 0 when that cycle completes, 1 when it fails or is cancelled. As JSON each cycle is
    one line. An orchestrator that goes away is waited for.

    Parameters
    ----------
    cycle_id
        Wait for this one only.
    interval
        Seconds between two looks.
    timeout
        Give up after so many seconds, with exit code 124.
    """
    try:
        async with asyncio.timeout(timeout):
            if cycle_id is None:
                await _follow(server, interval)
            return await _until_ended(server, cycle_id, interval)
    except CallFailed as failure:
        return failure.tell()
    except TimeoutError:
        print(f"tradesaga: gave up after {timeout:g} seconds", file=sys.stderr)
        return ExitCode.TIMED_OUT


async def _follow(server: Server, interval: float) -> NoReturn:
    """Print every cycle that ends from now on, after the latest that has; without end."""
    listed = decoded(await call(server, "GET", "/cycles", query={"limit": WATCHED_MAX}))["cycles"]
    ended = [cycle for cycle in listed if cycle["status"] != "started"]
    shown = {cycle["id"] for cycle in ended[1:]}
    if server.output == "text":
        print(cycle_line(None), flush=True)
    while True:
        for cycle in reversed(listed):
            if cycle["status"] != "started" and cycle["id"] not in shown:
                print(one_line(server, cycle, cycle_line), flush=True)
        shown = {cycle["id"] for cycle in listed if cycle["status"] != "started"}
        await wait(interval)
        answer = await patient(server, "/cycles", {"limit": WATCHED_MAX}, interval)
        listed = decoded(answer)["cycles"]


async def _until_ended(server: Server, cycle_id: str, interval: float) -> int:
    body = await call(server, "GET", _path_of(cycle_id))
    while (cycle := decoded(body)["cycle"])["status"] == "started":
        await wait(interval)
        body = await patient(server, _path_of(cycle_id), {}, interval)
    if server.output == "text":
        print(cycle_line(None))
    print(one_line(server, cycle, cycle_line), flush=True)
    return ExitCode.OK if cycle["status"] == "completed" else ExitCode.FAILED


def _path_of(cycle_id: str) -> str:
    # Quoted: an id with a slash or a question mark must not become another path.
    return f"/cycles/{quote(cycle_id, safe='')}"
