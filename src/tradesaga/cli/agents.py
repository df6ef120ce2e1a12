"""`tradesaga agents`: the agents beside each other, made and retired."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from cyclopts import App

from tradesaga.cli.asking import tell
from tradesaga.cli.client import Server, call
from tradesaga.cli.rendering import table

HERE: Final = Server()

agents = App(name="agents", help="List, make and retire the agents beside the default one.")


@agents.command(name="ls")
async def list_agents(*, server: Server = HERE) -> int:
    """List all agents, the retired ones too, and the node that drives each."""
    return await tell(server, call(server, "GET", "/agents"), lambda one: _rows(one["agents"]))


@agents.command(name="add")
async def add(name: str, /, *, trading_engine: str, server: Server = HERE) -> int:
    """Make an agent; a node drives it within a second, and it is stopped then.

    Parameters
    ----------
    name
        Its name.
    trading_engine
        The address of the trading engine of its account.
    """
    fields = {"name": name, "tradingEngine": trading_engine}
    return await tell(server, call(server, "POST", "/agents", fields=fields), _row)


@agents.command(name="retire")
async def retire(agent: str, /, *, server: Server = HERE) -> int:
    """Never drive an agent again that is stopped and has nothing open.

    Parameters
    ----------
    agent
        Its id.
    """
    path = f"/agents/{quote(agent, safe='')}/retire"
    return await tell(server, call(server, "POST", path), _row)


def _row(one: Mapping[str, Any]) -> list[str]:
    return _rows([one])


def _rows(found: list[Mapping[str, Any]]) -> list[str]:
    header = ("NAME", "STATUS", "NODE", "TRADING ENGINE", "ID")
    rows = [
        (
            one["name"],
            "retired" if one["retiredAt"] else one["status"] or "-",
            one["node"] or "-",
            one["tradingEngine"],
            one["id"],
        )
        for one in found
    ]
    return table(header, rows)
