"""`tradesaga verify`: what must always hold, checked against the database and the venue."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from tradesaga.api.invariants import InvariantsAnswer, invariants_answer
from tradesaga.bootstrap.verifying import Verification, VerifyOptions
from tradesaga.bootstrap.verifying import verify as check
from tradesaga.cli.exit_codes import ExitCode
from tradesaga.cli.flags import ConfigFile, Output
from tradesaga.config import process_environment
from tradesaga.ports.records import Invariant


def verify(
    *,
    config: ConfigFile = None,
    state_dir: Path | None = None,
    venue_url: str | None = None,
    market_clock: Path | None = None,
    venue: bool = True,
    all_agents: bool = False,
    output: Output = "text",
) -> int:
    """Check every invariant; 0 if all hold, 1 if one is broken, 5 if something does not answer.

    It only reads, and may run beside the orchestrator or without it.

    Parameters
    ----------
    config
        The YAML file; without it defaults and environment.
    state_dir
        The directory of a system that `tradesaga up` runs; used unless DB_HOST, DB_PORT name
        another database.
    venue_url
        The trading engine's address; else that of the replay, else of the configuration.
    market_clock
        The file of market time of a replay elsewhere; real time without it.
    venue
        Ask the venue too; without it only the database.
    all_agents
        Check every agent that was ever made, and name the agent with each finding.
    output
        Text for people or JSON for programs.
    """
    options = VerifyOptions(
        config=config,
        state_dir=state_dir,
        venue_url=venue_url,
        market_clock=market_clock,
        venue=venue,
        all_agents=all_agents,
    )
    found = asyncio.run(check(options, process_environment()))
    if output == "json":
        print(msgspec.json.encode(_answer(found, all_agents=all_agents)).decode())
    else:
        lines = _lines_of_all(found) if all_agents else _lines(found[0])
        print("\n".join(lines))
    for one in found:
        if one.unreachable:
            whose = f"agent {one.name}: " if all_agents else ""
            print(f"tradesaga: {whose}{one.unreachable}", file=sys.stderr)
    if any(one.broken for one in found):
        return ExitCode.FAILED
    return ExitCode.UNREACHABLE if any(one.unreachable for one in found) else ExitCode.OK


class AgentInvariantsAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """The check of one agent."""

    agent_id: str
    name: str
    check: InvariantsAnswer


def _answer(
    found: Sequence[Verification], *, all_agents: bool
) -> InvariantsAnswer | dict[str, list[AgentInvariantsAnswer]]:
    """As the API answers about one agent; of all agents so under their names."""
    answers = [
        AgentInvariantsAnswer(
            agent_id=str(one.agent_id),
            name=one.name,
            check=invariants_answer(one.invariants, checked_at=one.checked_at),
        )
        for one in found
    ]
    return {"agents": answers} if all_agents else answers[0].check


def _lines(found: Verification) -> Iterator[str]:
    width = max(len(one.name) for one in found.invariants)
    for one in found.invariants:
        yield from _lines_of(one, width)
    yield _summary(found)


def _lines_of_all(found: Sequence[Verification]) -> Iterator[str]:
    """A line for each agent, and below it what is broken of it."""
    for agent in found:
        yield f"agent {agent.name} {agent.agent_id}: {_summary(agent)}"
        for one in agent.broken:
            yield from (f"  {line}" for line in _lines_of(one, len(one.name)))
    broken = sum(len(agent.broken) for agent in found)
    yield f"{len(found)} agents: {broken or 'no'} invariants broken"


def _lines_of(one: Invariant, width: int) -> Iterator[str]:
    looked_at = "-" if one.looked_at is None else f"{one.looked_at:,}"
    yield f"{one.name:<{width}}  {looked_at:>9} looked at  {_verdict(one)}"
    if one.violations:
        yield f"    {one.description}"
        for row in one.sample:
            yield "    " + ", ".join(f"{name} {value}" for name, value in row.items())
        yield f"    -> {one.remedy}"


def _summary(found: Verification) -> str:
    skipped = sum(1 for one in found.invariants if one.skipped)
    checked = len(found.invariants) - skipped
    left = f", {skipped} not checked" if skipped else ""
    return f"{checked} checked, {len(found.broken) or 'none'} broken{left}"


def _verdict(one: Invariant) -> str:
    if one.violations:
        return f"BROKEN, {one.violations:,} times"
    return f"not checked: {one.skipped}" if one.skipped else "holds"
