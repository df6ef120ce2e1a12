"""`tradesaga approvals`: orders that wait for a named operator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal
from urllib.parse import quote

from cyclopts import App

from tradesaga.cli.asking import tell
from tradesaga.cli.client import Server, call
from tradesaga.cli.flags import PageSize
from tradesaga.cli.rendering import moment, table

HERE: Final = Server()
COLUMNS: Final = ("STATE", "ORDER", "REFERENCE", "UNTIL", "BY", "ID")

approvals = App(name="approvals", help="List orders that wait for an approval; approve or deny.")


@approvals.command(name="ls")
async def list_approvals(
    *,
    state: Literal["pending", "consumed", "denied", "expired"] | None = None,
    limit: PageSize = 20,
    server: Server = HERE,
) -> int:
    """List the latest approvals, latest first.

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
    return await tell(server, call(server, "GET", "/approvals", query=query), _listed)


@approvals.command(name="approve")
async def approve(approval_id: str, /, *, by: str, reason: str, server: Server = HERE) -> int:
    """Have all risk rules judge the order again, and make it if none says no.

    Parameters
    ----------
    approval_id
        The id from the list.
    by
        The name of the person who decides, for the audit log.
    reason
        Why, for the audit log.
    """
    return await _decide(server, approval_id, "approve", by, reason)


@approvals.command(name="deny")
async def deny(approval_id: str, /, *, by: str, reason: str, server: Server = HERE) -> int:
    """Have the order never made.

    Parameters
    ----------
    approval_id
        The id from the list.
    by
        The name of the person who decides, for the audit log.
    reason
        Why, for the audit log.
    """
    return await _decide(server, approval_id, "deny", by, reason)


async def _decide(server: Server, approval_id: str, word: str, by: str, reason: str) -> int:
    path = f"/approvals/{quote(approval_id, safe='')}/{word}"
    answer = call(server, "POST", path, fields={"by": by, "reason": reason})
    return await tell(server, answer, _decided)


def _listed(answer: Mapping[str, Any]) -> list[str]:
    rows = [
        (
            one["state"],
            f"{one['side']} {one['quantity']} {one['symbol']} {one['type']}",
            str(one["referencePrice"]),
            moment(one["expiresAt"]),
            one["decidedBy"] or "",
            one["id"],
        )
        for one in answer["approvals"]
    ]
    return table(COLUMNS, rows) if rows else ["no approvals"]


def _decided(one: Mapping[str, Any]) -> list[str]:
    order = f"{one['side']} {one['quantity']} {one['symbol']}"
    if one["state"] == "consumed":
        return [f"approved: {order}; `tradesaga sagas show {one['sagaId']}` follows it"]
    return [f"{one['state']}: {order}"]
