"""The degradation ladder and the kill switch from the command line.

`kill` asks the API; if no orchestrator answers it leaves the mark on disk instead, which a running
one on this machine heeds within 20 ms and the next one at its start. Each command returns an exit
code of `cli.exit_codes`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from cyclopts import Parameter

from tradesaga.bootstrap.halting import leave_mark
from tradesaga.cli.asking import tell
from tradesaga.cli.client import CallFailed, Server, call
from tradesaga.cli.exit_codes import ExitCode
from tradesaga.cli.rendering import moment
from tradesaga.embedded.state import default_state_dir

HERE: Final = Server()
KILL_TIME_MAX: Final = 3.0
"""Seconds: then the mark is left, whatever the orchestrator is doing."""
EVERYTHING: Final = {"scope": "all"}
ALL_IS_ALL: Final = (
    "tradesaga: --all-agents halts all of all agents: leave out --agent, --strategy, --symbol "
    "and --reduce-only"
)
Name = Annotated[str | None, Parameter(show_default=False)]


async def ladder(*, server: Server = HERE) -> int:
    """Show what is in force, every reason for it, and what ends it."""
    return await tell(server, call(server, "GET", "/ladder"), ladder_text)


async def kill(
    *,
    reason: str = "",
    strategy: Name = None,
    symbol: Name = None,
    who: str = "",
    reduce_only: bool = False,
    all_agents: bool = False,
    state_dir: Path | None = None,
    server: Server = HERE,
) -> int:
    """Halt: send nothing any more, cancel own working entries. Only `rearm` ends it.

    Parameters
    ----------
    reason
        Why, for the audit log.
    strategy
        Halt this strategy alone, by id or external id.
    symbol
        Halt this symbol alone.
    who
        Who says so, for the audit log.
    reduce_only
        Let exits go on: cancel own working entries and enter nothing.
    all_agents
        Halt every agent on every node; each is re-armed by itself.
    state_dir
        Where the mark is left when no orchestrator answers: it halts all agents of its node.
    """
    where = _where(strategy, symbol)
    if where is None:
        return _both()
    if all_agents:
        if reduce_only or where != EVERYTHING or server.agent is not None:
            print(ALL_IS_ALL, file=sys.stderr)
            return ExitCode.USAGE
        return await _kill_all(server, reason, who, state_dir)
    fields = {**where, "reason": reason, "who": who}
    if reduce_only:
        fields["rung"] = "REDUCE_ONLY"
    try:
        body = await call(server, "POST", "/kill", fields=fields, time_max=KILL_TIME_MAX)
    except CallFailed as failure:
        if failure.exit_code is not ExitCode.UNREACHABLE or reduce_only:
            return failure.tell()
        failure.tell()
        return await asyncio.to_thread(_mark, state_dir, strategy, symbol, reason)
    return await tell(server, _given(body), killed_text)


async def _kill_all(server: Server, reason: str, who: str, state_dir: Path | None) -> int:
    fields = {"reason": reason, "who": who}
    try:
        body = await call(server, "POST", "/agents/kill", fields=fields, time_max=KILL_TIME_MAX)
    except CallFailed as failure:
        code = failure.tell()
        if failure.exit_code is not ExitCode.UNREACHABLE:
            return code
        return await asyncio.to_thread(_mark, state_dir, None, None, reason)
    code = await tell(server, _given(body), killed_all_text)
    answer = msgspec.json.decode(body)
    return ExitCode.FAILED if answer["silent"] or answer["unheard"] else code


async def rearm(
    *,
    operator: str,
    reason: str,
    confirm: bool = False,
    strategy: Name = None,
    symbol: Name = None,
    server: Server = HERE,
) -> int:
    """End what was halted in just that scope; everything's scope without a strategy or symbol.

    Parameters
    ----------
    operator
        The name of the person who answers for it.
    reason
        Why it is safe to trade again.
    confirm
        Say that orders are to be sent again from then on; refused without it.
    strategy
        Re-arm this strategy, by id or external id.
    symbol
        Re-arm this symbol.
    """
    where = _where(strategy, symbol)
    if where is None:
        return _both()
    if not confirm:
        print(
            "tradesaga: orders are sent again from then on: say so with --confirm", file=sys.stderr
        )
        return ExitCode.USAGE
    fields = {**where, "operator": operator, "reason": reason, "confirm": confirm}
    return await tell(server, call(server, "POST", "/rearm", fields=fields), rearmed_text)


async def acknowledge(
    cause: str,
    /,
    *,
    operator: str,
    strategy: Name = None,
    symbol: Name = None,
    server: Server = HERE,
) -> int:
    """Say that a person knows of a cause: it goes, or has less effect while it goes on.

    Parameters
    ----------
    cause
        As `tradesaga ladder` names it.
    operator
        The name of the person.
    strategy
        The strategy for which it stands.
    symbol
        The symbol for which it stands.
    """
    where = _where(strategy, symbol)
    if where is None:
        return _both()
    fields = {**where, "cause": cause.upper(), "operator": operator}
    answer = call(server, "POST", "/ladder/acknowledge", fields=fields)
    return await tell(server, answer, ladder_text)


def ladder_text(answer: Mapping[str, Any]) -> list[str]:
    """The ladder for people."""
    lines = [answer["rung"] + ("" if answer["recorded"] else " (not in the database yet)")]
    for reason in answer["reasons"]:
        scope = f"{reason['scope']} {reason['subject']}".rstrip()
        since = moment(reason["since"])
        lines.append(f"  {reason['rung']} for {scope} by {reason['cause']} since {since}")
        lines.append(f"    {reason['detail']} (by {reason['who']}); left by {reason['exit']}")
        if known := reason["acknowledgedBy"]:
            lines.append(f"    acknowledged by {known}")
    if answer["lastKill"] is not None:
        lines += ["last kill:", *(f"  {line}" for line in killed_text(answer["lastKill"]))]
    return lines


def killed_text(answer: Mapping[str, Any]) -> list[str]:
    """A kill for people."""
    scope = f"{answer['scope']} {answer['subject']}".rstrip()
    kept = [
        "marked on this machine" if answer["marked"] else "no mark on this machine",
        "in the database" if answer["recorded"] else "not in the database yet",
    ]
    lines = [
        f"halted {scope} at {moment(answer['at'])}: {', '.join(kept)}",
        f"{answer['orders']} entries were open, cancels of {answer['asked']} are out, "
        f"{answer['ended']} are settled",
    ]
    lines += [
        f"NO VERDICT about {order['clientOrderId']} ({order['symbol']}): {order['said']}"
        for order in answer["unresolved"]
    ]
    return lines


def killed_all_text(answer: Mapping[str, Any]) -> list[str]:
    """A kill of all agents for people; what is not halted for certain last, and loud."""
    lines = []
    for one in answer["agents"]:
        first, *rest = killed_text(one["killed"])
        lines += [f"agent {one['name']} {one['agentId']}: {first}"]
        if one["killed"]["orders"]:
            lines += [f"    {line}" for line in rest]
    lines.append(f"{len(answer['agents'])} agents are halted; re-arm each by itself")
    lines += [f"NO ANSWER of the node at {url}: repeat the command" for url in answer["silent"]]
    lines += [
        f"NOBODY ANSWERED for agent {one['name']} {one['agentId']}: repeat the command"
        for one in answer["unheard"]
    ]
    return lines


def rearmed_text(answer: Mapping[str, Any]) -> list[str]:
    """A re-arm for people."""
    ended = ", ".join(reason["cause"] for reason in answer["ended"])
    first = f"re-armed: {ended}" if ended else "nothing was halted in that scope"
    return [first, *ladder_text(answer["ladder"])]


def _where(strategy: str | None, symbol: str | None) -> dict[str, Any] | None:
    """The fields of the scope; None when both are given."""
    if strategy is not None and symbol is not None:
        return None
    if strategy is not None:
        return {"scope": "strategy", "subject": strategy}
    return {"scope": "all"} if symbol is None else {"scope": "symbol", "subject": symbol}


def _both() -> int:
    print("tradesaga: give --strategy or --symbol, not both", file=sys.stderr)
    return ExitCode.USAGE


def _mark(state_dir: Path | None, strategy: str | None, symbol: str | None, reason: str) -> int:
    directory = (state_dir or default_state_dir()).resolve()
    path = leave_mark(directory, strategy=strategy, symbol=symbol, reason=reason)
    if path is None:
        print(f"tradesaga: NOT HALTED: no mark can be left in {directory}", file=sys.stderr)
        return ExitCode.FAILED
    print(f"left the mark {path}: an orchestrator with that state directory is halted by it")
    return ExitCode.OK


async def _given(body: bytes) -> bytes:
    return body
