"""Commands on positions: what is held, what locks their symbols; close one by an operator's exit.

It is in the audit log with its reason before the command ends; `sagas watch ID` waits for its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

from cyclopts import App, Parameter

from tradesaga.cli.asking import tell
from tradesaga.cli.client import Server, call
from tradesaga.cli.flags import PageSize
from tradesaga.cli.rendering import NOTHING, moment, more, number, table
from tradesaga.cli.saga_rendering import sagas_text

HERE: Final = Server()

positions = App(
    name="positions",
    help="Show and close positions; show locks and orders not ours.",
)


@positions.command(name="ls")
async def ls(
    *,
    status: Literal["open", "flat"] | None = None,
    limit: PageSize = 20,
    cursor: str | None = None,
    server: Server = HERE,
) -> int:
    """List what is held of each symbol that was traded, by our books.

    Parameters
    ----------
    status
        Only what is held now, or only what is not any more.
    limit
        How many, 1 to 1000.
    cursor
        Where to go on: the cursor that the page before ended with.
    """
    query: dict[str, str | int] = {"limit": limit}
    query |= {} if status is None else {"status": status}
    query |= {} if cursor is None else {"cursor": cursor}
    return await tell(server, call(server, "GET", "/positions", query=query), _positions_text)


@positions.command(name="locks")
async def locks(*, server: Server = HERE) -> int:
    """Show the symbols on which nothing may open, and why."""
    return await tell(server, call(server, "GET", "/locks"), _locks_text)


@positions.command(name="external")
async def external(
    *,
    state: Literal["open", "gone", "ours"] | None = None,
    limit: PageSize = 20,
    server: Server = HERE,
) -> int:
    """Show orders on the account that are not ours; they are never touched.

    Parameters
    ----------
    state
        Only those in this state.
    limit
        How many, 1 to 1000.
    """
    query: dict[str, str | int] = {"limit": limit}
    if state is not None:
        query["state"] = state
    asked = call(server, "GET", "/orders/external", query=query)
    return await tell(server, asked, _external_text)


@positions.command(name="close")
async def close(
    symbol: str,
    /,
    *,
    reason: Annotated[str, Parameter(help="Why, for the audit log; not blank.")],
    server: Server = HERE,
) -> int:
    """Cancel own entries of a symbol, then sell or buy back what is held of it.

    Works while the agent is stopped, too; outside of the session, or when a rule denies it, it is
    refused with exit code 4. Prints the sagas that do it.

    Parameters
    ----------
    symbol
        The symbol of the position.
    """
    path = f"/positions/{quote(symbol, safe='')}/close"
    return await tell(server, call(server, "POST", path, fields={"reason": reason}), sagas_text)


def _positions_text(answer: Mapping[str, Any]) -> list[str]:
    rows = [
        (one["symbol"], number(one["quantity"]), number(one["boughtQuantity"]),
         number(one["averageBought"]), number(one["soldQuantity"]), number(one["averageSold"]),
         number(one["fees"]))
        for one in answer["positions"]
    ]  # fmt: skip
    names = ("SYMBOL", "HELD", "BOUGHT", "AT", "SOLD", "AT", "FEES")
    return [*table(names, rows, right=range(1, 7)), *more(answer)]


def _locks_text(answer: Mapping[str, Any]) -> list[str]:
    rows = [
        (lock["symbol"], lock["reason"], moment(lock["since"]), lock["sagaId"] or NOTHING,
         lock["detail"])
        for lock in answer["locks"]
    ]  # fmt: skip
    return table(("SYMBOL", "REASON", "SINCE", "SAGA", "DETAIL"), rows) if rows else ["no locks"]


def _external_text(answer: Mapping[str, Any]) -> list[str]:
    rows = [
        (order["kind"], order["state"], order["symbol"],
         f"{order['side'] or NOTHING} {order['filledQuantity']}/{order['quantity'] or NOTHING}",
         moment(order["seenAt"]), order["venueOrderId"])
        for order in answer["orders"]
    ]  # fmt: skip
    return table(("KIND", "STATE", "SYMBOL", "FILLED", "SEEN", "ID"), rows)
