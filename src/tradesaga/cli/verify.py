"""`tradesaga verify`: what must always hold, checked against the database and the venue."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tradesaga.api.invariants import invariants_answer
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
    output
        Text for people or JSON for programs.
    """
    options = VerifyOptions(
        config=config,
        state_dir=state_dir,
        venue_url=venue_url,
        market_clock=market_clock,
        venue=venue,
    )
    found = asyncio.run(check(options, process_environment()))
    if output == "json":
        answer = invariants_answer(found.invariants, checked_at=found.checked_at)
        print(msgspec.json.encode(answer).decode())
    else:
        print("\n".join(_lines(found)))
    if found.unreachable:
        print(f"tradesaga: {found.unreachable}", file=sys.stderr)
    if found.broken:
        return ExitCode.FAILED
    return ExitCode.UNREACHABLE if found.unreachable else ExitCode.OK


def _lines(found: Verification) -> Iterator[str]:
    width = max(len(one.name) for one in found.invariants)
    for one in found.invariants:
        looked_at = "-" if one.looked_at is None else f"{one.looked_at:,}"
        yield f"{one.name:<{width}}  {looked_at:>9} looked at  {_verdict(one)}"
        if one.violations:
            yield f"    {one.description}"
            for row in one.sample:
                yield "    " + ", ".join(f"{name} {value}" for name, value in row.items())
            yield f"    -> {one.remedy}"
    skipped = sum(1 for one in found.invariants if one.skipped)
    checked = len(found.invariants) - skipped
    left = f", {skipped} not checked" if skipped else ""
    yield f"{checked} checked, {len(found.broken) or 'none'} broken{left}"


def _verdict(one: Invariant) -> str:
    if one.violations:
        return f"BROKEN, {one.violations:,} times"
    return f"not checked: {one.skipped}" if one.skipped else "holds"
