"""`tradesaga decisions`: what was decided, what the rules made of it; `trace` shows one whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from cyclopts import App

from tradesaga.cli.asking import tell
from tradesaga.cli.client import Server, call
from tradesaga.cli.flags import PageSize
from tradesaga.cli.rendering import NOTHING, moment, more, number, table

HERE: Final = Server()
COLUMNS: Final = ("CREATED", "ACTION", "QUANTITY", "SYMBOL", "VERDICT", "DENIED BY", "ID")

decisions = App(name="decisions", help="List decisions.")


@decisions.command(name="ls")
async def listed(
    *,
    symbol: str | None = None,
    cycle: str | None = None,
    outcome: Literal["allowed", "denied", "held", "shadow"] | None = None,
    limit: PageSize = 20,
    cursor: str | None = None,
    server: Server = HERE,
) -> int:
    """List the latest decisions, latest first.

    Parameters
    ----------
    symbol
        Only those on this symbol.
    cycle
        Only those of this cycle, by its id.
    outcome
        Only those of which the rules said this.
    limit
        How many, 1 to 1000.
    cursor
        Where to go on: the cursor that the page before ended with.
    """
    wanted: dict[str, str | int | None] = {
        "symbol": symbol, "cycle": cycle, "outcome": outcome, "limit": limit, "cursor": cursor
    }  # fmt: skip
    query = {name: value for name, value in wanted.items() if value is not None}
    return await tell(server, call(server, "GET", "/decisions", query=query), _page)


def _page(answer: Mapping[str, Any]) -> list[str]:
    rows = [
        (
            moment(one["createdAt"]),
            one["action"],
            number(one["quantity"]),
            one["symbol"],
            one["verdict"],
            ", ".join(one["denials"]) or NOTHING,
            one["id"],
        )
        for one in answer["decisions"]
    ]
    return [*table(COLUMNS, rows, right=(2,)), *more(answer)] if rows else ["no decisions"]
