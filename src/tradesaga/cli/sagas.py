"""Commands on sagas: list, show and watch them, and settle one that needs a person.

What a person orders takes effect once and is in the audit log with its reason before the command
ends; a saga that does not wait for a person refuses it with exit code 4.
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
from tradesaga.cli.saga_rendering import saga_line, saga_text, sagas_text

HERE: Final = Server()
WATCHED_MAX: Final = 500
"""Sagas looked at at once: one that changes and is older than so many others is not shown."""
GOOD_ENDS: Final = frozenset({"completed", "completed_partial"})
RESTS: Final = GOOD_ENDS | {"compensated", "manual_required"}

sagas = App(name="sagas", help="List, show and watch sagas; settle one that needs a person.")

State = Literal[
    "open", "pending", "running", "compensating", "completed", "completed_partial", "compensated",
    "manual_required",
]  # fmt: skip
Reason = Annotated[str, Parameter(help="Why, for the audit log; not blank.")]
Positive = validators.Number(gt=0)


@sagas.command(name="ls")
async def list_sagas(
    *,
    state: State | None = None,
    symbol: str | None = None,
    cycle: str | None = None,
    limit: PageSize = 20,
    cursor: str | None = None,
    server: Server = HERE,
) -> int:
    """List sagas, the latest first.

    Parameters
    ----------
    state
        Only sagas that stand so; `open` are all that have not ended.
    symbol
        Only sagas of this symbol.
    cycle
        Only sagas of the cycle with this id.
    limit
        How many, 1 to 1000.
    cursor
        Where to go on: the cursor that the page before ended with.
    """
    given = {"state": state, "symbol": symbol, "cycle": cycle, "cursor": cursor}
    query: dict[str, str | int] = {k: v for k, v in given.items() if v is not None}
    return await tell(
        server, call(server, "GET", "/sagas", query=query | {"limit": limit}), sagas_text
    )


@sagas.command(name="show")
async def show_saga(saga_id: str, /, *, server: Server = HERE) -> int:
    """Show a saga: plan, steps, attempts, compensations, deadlines, evidence, order and money.

    Parameters
    ----------
    saga_id
        The id from the list.
    """
    return await tell(server, call(server, "GET", _path_of(saga_id)), saga_text)


@sagas.command(name="retry")
async def retry(saga_id: str, /, *, reason: Reason, server: Server = HERE) -> int:
    """Let a saga that needs a person try again: forward once something is filled, else back.

    Parameters
    ----------
    saga_id
        The id from the list.
    """
    answer = call(server, "POST", _path_of(saga_id, "retry"), fields={"reason": reason})
    return await tell(server, answer, saga_text)


@sagas.command(name="compensate")
async def compensate(saga_id: str, /, *, reason: Reason, server: Server = HERE) -> int:
    """Turn a saga back that needs a person: cancel what may live, await the verdict, release.

    Parameters
    ----------
    saga_id
        The id from the list; nothing of its order may be filled.
    """
    answer = call(server, "POST", _path_of(saga_id, "compensate"), fields={"reason": reason})
    return await tell(server, answer, saga_text)


@sagas.command(name="resolve")
async def resolve(
    saga_id: str,
    /,
    *,
    outcome: Literal["not_placed", "canceled", "adopt"],
    reason: Reason,
    venue_order_id: str | None = None,
    server: Server = HERE,
) -> int:
    """State what became of the order of a saga that needs a person. It never makes a fill.

    Parameters
    ----------
    saga_id
        The id from the list.
    outcome
        The venue never took the order; it fills no more; or it is the one with --venue-order-id.
    venue_order_id
        With `adopt`: the id that the venue gave the order; it is looked up.
    """
    fields = {"outcome": outcome, "reason": reason, "venueOrderId": venue_order_id}
    answer = call(server, "POST", _path_of(saga_id, "resolve"), fields=fields)
    return await tell(server, answer, saga_text)


@sagas.command(name="watch")
async def watch_sagas(
    saga_id: str | None = None,
    /,
    *,
    interval: Annotated[float, Parameter(validator=Positive)] = 1.0,
    timeout: Annotated[float | None, Parameter(validator=Positive)] = None,  # noqa: ASYNC109  # the flag's name
    server: Server = HERE,
) -> int:
    """Print sagas as they change state, until Ctrl-C; or wait until one rests.

    With an id: 0 when that saga completes, wholly or in part, 1 when it was compensated or needs
    a person. As JSON each saga is one line. An orchestrator that goes away is waited for.

    Parameters
    ----------
    saga_id
        Wait for this one only.
    interval
        Seconds between two looks.
    timeout
        Give up after so many seconds, with exit code 124.
    """
    try:
        async with asyncio.timeout(timeout):
            if saga_id is None:
                await _follow(server, interval)
            return await _until_at_rest(server, saga_id, interval)
    except CallFailed as failure:
        return failure.tell()
    except TimeoutError:
        print(f"tradesaga: gave up after {timeout:g} seconds", file=sys.stderr)
        return ExitCode.TIMED_OUT


async def _follow(server: Server, interval: float) -> NoReturn:
    """Print those that are open or that end from now on, each time its state is another one."""
    query = {"limit": WATCHED_MAX}
    listed = decoded(await call(server, "GET", "/sagas", query=query))["sagas"]
    ended = GOOD_ENDS | {"compensated"}
    shown = {saga["id"]: saga["state"] for saga in listed if saga["state"] in ended}
    if server.output == "text":
        print(saga_line(None), flush=True)
    while True:
        for saga in reversed(listed):
            if shown.get(saga["id"]) != saga["state"]:
                print(one_line(server, saga, saga_line), flush=True)
        shown = {saga["id"]: saga["state"] for saga in listed}
        await wait(interval)
        listed = decoded(await patient(server, "/sagas", query, interval))["sagas"]


async def _until_at_rest(server: Server, saga_id: str, interval: float) -> int:
    body = await call(server, "GET", _path_of(saga_id))
    while (saga := decoded(body)["saga"])["state"] not in RESTS:
        await wait(interval)
        body = await patient(server, _path_of(saga_id), {}, interval)
    if server.output == "text":
        print(saga_line(None))
    print(one_line(server, saga, saga_line), flush=True)
    return ExitCode.OK if saga["state"] in GOOD_ENDS else ExitCode.FAILED


def _path_of(saga_id: str, *more: str) -> str:
    # Quoted: an id with a slash or a question mark must not become another path.
    return "/".join(("/sagas", quote(saga_id, safe=""), *more))
