"""Commands on strategies: list and show them, make, change and delete them, let them act or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

from cyclopts import App, Parameter

from tradesaga.cli.asking import tell
from tradesaga.cli.client import CallFailed, Server, call
from tradesaga.cli.exit_codes import ExitCode
from tradesaga.cli.rendering import strategies_table

HERE: Final = Server()

strategies = App(name="strategies", help="List, make, change and delete strategies.")
Symbols = Annotated[str | None, Parameter(help="Separated by commas, as SPY,IBM.")]
Parameters = Annotated[
    list[str] | None,
    Parameter(name="--parameter", negative=(), help="NAME=VALUE; may be given several times."),
]
StrategyMode = Literal["live", "shadow"]
RiskMode = Literal["normal", "conservative", "aggressive"]


@strategies.command(name="ls")
async def list_strategies(*, server: Server = HERE) -> int:
    """List all strategies by name, with their figures."""
    answer = call(server, "GET", "/strategies")
    return await tell(server, answer, lambda said: strategies_table(said["strategies"]))


@strategies.command(name="show")
async def show(name: str, /, *, server: Server = HERE) -> int:
    """Show one strategy.

    Parameters
    ----------
    name
        Its id or name.
    """
    return await tell(server, call(server, "GET", _path(name)), _text)


@strategies.command(name="create")
async def create(
    name: str,
    /,
    *,
    type: str,
    symbols: str,
    risk_mode: RiskMode = "normal",
    parameter: Parameters = None,
    priority: int = 0,
    mode: StrategyMode = "live",
    active: bool = False,
    server: Server = HERE,
) -> int:
    """Make a strategy, stopped unless --active.

    Parameters
    ----------
    name
        The name under which the decision makers know it; it stays taken for ever.
    type
        The decision makers' word for its rule.
    symbols
        What it watches, separated by commas.
    risk_mode
        The risk profile; only a stricter one than the agent's has an effect.
    priority
        The higher comes first.
    mode
        A shadow decides on the same inputs, is scored, and never orders.
    active
        Let it act from the next cycle on.
    """
    try:
        parameters = _parameters(parameter)
    except CallFailed as failure:
        return failure.tell()
    fields = {
        "name": name,
        "type": type,
        "symbols": symbols.split(","),
        "riskMode": risk_mode,
        "parameters": parameters or {},
        "priority": priority,
        "mode": mode,
        "active": active,
    }
    return await tell(server, call(server, "POST", "/strategies", fields=fields), _text)


@strategies.command(name="update")
async def update(
    name: str,
    /,
    *,
    symbols: Symbols = None,
    risk_mode: RiskMode | None = None,
    parameter: Parameters = None,
    priority: int | None = None,
    mode: StrategyMode | None = None,
    server: Server = HERE,
) -> int:
    """Change what is given; parameters are replaced as a whole.

    Parameters
    ----------
    name
        Its id or name.
    risk_mode
        The risk profile.
    priority
        The higher comes first.
    mode
        live or shadow; what holds something cannot become a shadow.
    """
    try:
        parameters = _parameters(parameter)
    except CallFailed as failure:
        return failure.tell()
    fields = {
        "symbols": None if symbols is None else symbols.split(","),
        "riskMode": risk_mode,
        "parameters": parameters,
        "priority": priority,
        "mode": mode,
    }
    return await tell(server, call(server, "PATCH", _path(name), fields=fields), _text)


@strategies.command(name="activate")
async def activate(name: str, /, *, server: Server = HERE) -> int:
    """Let a strategy act from the next cycle on.

    Parameters
    ----------
    name
        Its id or name.
    """
    answer = call(server, "POST", _path(name) + "/activate")
    return await tell(server, answer, lambda said: [f"{name} is {said['status']}"])


@strategies.command(name="deactivate")
async def deactivate(name: str, /, *, close_positions: bool = False, server: Server = HERE) -> int:
    """Let a strategy act no more.

    Parameters
    ----------
    name
        Its id or name.
    close_positions
        Close what it holds; `strategies show` tells how far that is.
    """
    fields = {"closePositions": close_positions}
    answer = call(server, "POST", _path(name) + "/deactivate", fields=fields)
    return await tell(
        server,
        answer,
        lambda said: [f"{name} is {said['status']}", *filter(None, [said["detail"]])],
    )


@strategies.command(name="delete")
async def delete(name: str, /, *, server: Server = HERE) -> int:
    """Take a strategy off the list; exit code 4 while it acts or holds something.

    Parameters
    ----------
    name
        Its id or name.
    """
    answer = call(server, "DELETE", _path(name))
    return await tell(server, answer, lambda said: [f"{name} is {said['status']}"])


def _path(name: str) -> str:
    return f"/strategies/{quote(name, safe='')}"


def _parameters(given: Sequence[str] | None) -> dict[str, object] | None:
    """NAME=VALUE pairs; numbers become numbers, true and false become that."""
    if given is None:
        return None
    found: dict[str, object] = {}
    for pair in given:
        name, sign, value = pair.partition("=")
        if not name or not sign:
            raise CallFailed(ExitCode.USAGE, f"--parameter {pair} is no NAME=VALUE")
        found[name] = _value(value)
    return found


def _value(text: str) -> object:
    if text in ("true", "false"):
        return text == "true"
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    if not number.is_finite():
        return text
    return int(number) if number == number.to_integral_value() and "." not in text else number


def _text(strategy: Mapping[str, Any]) -> list[str]:
    lines = strategies_table([strategy])
    parameters = strategy["parameters"]
    if parameters:
        said = ", ".join(f"{name} {value}" for name, value in sorted(parameters.items()))
        lines += ["", f"parameters  {said}"]
    if strategy["detail"]:
        lines.append(f"detail      {strategy['detail']}")
    return lines
