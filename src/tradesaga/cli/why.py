"""The command `why`: which rule blocked an order, by how much, and what would have passed."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Annotated, Any, Final
from urllib.parse import quote

from cyclopts import Parameter

from tradesaga.cli.asking import tell
from tradesaga.cli.client import Server, call
from tradesaga.cli.exit_codes import ExitCode
from tradesaga.cli.rendering import NOTHING, moment, number, section, table
from tradesaga.domain.ids import uuid_or_none

HERE: Final = Server()


async def why(
    subject: str | None = None,
    /,
    *,
    symbol: str | None = None,
    time: str | None = None,
    rules: Annotated[bool, Parameter(negative="")] = False,
    server: Server = HERE,
) -> int:
    """Say why an order was or was not made.

    For a decision by its id, or for a symbol at a time: the last decision on it, or why nobody
    decided (market closed, agent paused, strategy inactive, cycle skipped).

    Parameters
    ----------
    subject
        The id of a decision, or a symbol.
    symbol
        The symbol, if it could be taken for something else.
    time
        The moment with its zone, as 2020-12-15T17:00:00Z; now without it.
    rules
        Show every rule and the inputs, not only those that blocked.
    """
    decision = subject if subject is not None and uuid_or_none(subject) else None
    if decision is None and symbol is None:
        symbol = subject
    elif subject is not None and symbol is not None:
        symbol = decision = None
    if (decision is None) == (symbol is None) or (time is not None and symbol is None):
        print("tradesaga: name a decision, or a symbol with or without --time", file=sys.stderr)
        return ExitCode.USAGE
    if decision is not None:
        answer = call(server, "GET", f"/decisions/{quote(decision, safe='')}/why")
    else:
        query = {"symbol": symbol or ""} | ({} if time is None else {"at": time})
        answer = call(server, "GET", "/why", query=query)
    return await tell(server, answer, lambda body: why_text(body, whole=rules))


def why_text(answer: Mapping[str, Any], *, whole: bool) -> list[str]:
    """The answer for people; `whole` with every rule and input."""
    decided = answer["decision"]
    head = [("at", moment(answer["at"])), ("summary", answer["summary"])]
    if decided is not None:
        head += [
            ("decision", f"{decided['decisionId']}, cycle {decided['cycleId'] or NOTHING}"),
            ("order", f"{decided['action']} {number(decided['quantity'])} {answer['symbol']}"),
            ("verdict", decided["verdict"]),
        ]
    lines = [
        *table((), head),
        *section("reasons", answer["reasons"]),
        *section("blocked by", rules_table(answer["blocked"])),
        *section("blocked at execution by", rules_table(answer["blockedAtExecution"])),
    ]
    if whole:
        inputs = [(name, value or NOTHING) for name, value in answer["inputs"].items()]
        lines += section("rules", rules_table(answer["rules"]))
        lines += section("inputs", table((), inputs) if inputs else [])
    return lines


def rules_table(rules: list[Mapping[str, Any]]) -> list[str]:
    """What rules said, one a line; nothing of none."""
    rows = [
        (
            rule["code"],
            rule["outcome"],
            rule["value"] or NOTHING,
            rule["limit"] or NOTHING,
            rule["because"],
            rule["passes"],
        )
        for rule in rules
    ]
    header = ("RULE", "OUTCOME", "VALUE", "LIMIT", "BECAUSE", "WOULD PASS")
    return table(header, rows) if rows else []
