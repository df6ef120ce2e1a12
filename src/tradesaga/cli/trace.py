"""The command `trace`: one decision from its market data to the position, by any of its ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from tradesaga.cli.asking import tell
from tradesaga.cli.client import Server, call
from tradesaga.cli.rendering import NOTHING, moment, number, section, table
from tradesaga.cli.saga_rendering import saga_text
from tradesaga.cli.why import rules_table

HERE: Final = Server()


async def trace(name: str, /, *, server: Server = HERE) -> int:
    """Show how a decision came about and what became of it: prices, verdict, orders, fills.

    Parameters
    ----------
    name
        The correlation id, or the id of a decision, a saga or an order, also the client order id
        or the venue's.
    """
    return await tell(server, call(server, "GET", f"/decisions/{quote(name, safe='')}"), trace_text)


def trace_text(answer: Mapping[str, Any]) -> list[str]:
    """The answer for people, in the order in which it happened."""
    decision, cycle, seen = answer["decision"], answer["cycle"], answer["marketData"]
    held = answer["position"]
    head = [
        ("correlation", answer["correlationId"]),
        ("cycle", cycle["id"] if cycle else NOTHING),
        ("price seen", _seen(seen)),
        ("asked", moment(answer["askedAt"]) if answer["asked"] else NOTHING),
        ("said", f"{decision['action']} {decision['symbol']}, {decision['reasoning'] or NOTHING}"),
        ("verdict", f"{decision['verdict']} at {moment(decision['createdAt'])}"),
        ("order", f"{decision['action']} {number(decision['quantity'])} {decision['symbol']}"),
        ("approval", _approval(answer["approval"])),
        ("position now", NOTHING if held is None else number(held["quantity"])),
    ]
    inputs = [(name, value or NOTHING) for name, value in answer["inputs"].items()]
    lines = [
        *table((), head),
        *section("inputs", table((), inputs) if inputs else []),
        *section("rules", rules_table(answer["rules"])),
        *section("denied at execution by", rules_table(answer["deniedAtExecution"])),
    ]
    for saga in answer["sagas"]:
        lines += section("saga", saga_text(saga))
    return lines


def _seen(market: Mapping[str, Any]) -> str:
    if not market:
        return NOTHING
    quoted = f", of {moment(market['quotedAt'])}" if market["quotedAt"] else ""
    return f"{market['price']}{quoted}, fetched at {moment(market['fetchedAt'])}"


def _approval(approval: Mapping[str, Any] | None) -> str:
    if approval is None:
        return NOTHING
    by = f" by {approval['decidedBy']}" if approval["decidedBy"] else ""
    return f"{approval['state']}{by}, {approval['id']}"
