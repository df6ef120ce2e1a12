"""`tradesaga audit`: the hash-chained log of everything the agent did, checked and exported."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import msgspec
from cyclopts import App, Parameter, validators

from tradesaga.bootstrap.auditing import (
    AuditOptions,
    ChainCheck,
    anchor_of,
    export_log,
    verify_file,
    verify_log,
)
from tradesaga.cli.exit_codes import ExitCode
from tradesaga.cli.flags import ConfigFile, Output
from tradesaga.config import process_environment

audit: Final = App(name="audit", help="Check or export the audit log.")
Anchors = Annotated[list[str] | None, Parameter(name="--anchor", negative=())]
Sequence = Annotated[int, Parameter(validator=validators.Number(gte=1))]


@audit.command
def verify(
    *,
    config: ConfigFile = None,
    state_dir: Path | None = None,
    file: Path | None = None,
    anchor: Anchors = None,
    output: Output = "text",
) -> int:
    """Follow the whole hash chain; 0 if it holds, 1 if a row was changed, added or removed.

    The last line is an anchor: keep it somewhere else, and give it to a later check.

    Parameters
    ----------
    config
        The YAML file; without it defaults and environment.
    state_dir
        The directory of a system that `tradesaga up` runs.
    file
        An exported log, checked instead of the database.
    anchor
        NUMBER:HASH from an earlier check, which must be on the chain; may be given several times.
    output
        Text for people or JSON for programs.
    """
    anchors = anchor or []
    if file is not None:
        found = verify_file(file, anchors=anchors)
    else:
        options = AuditOptions(config=config, state_dir=state_dir)
        found = asyncio.run(verify_log(options, process_environment(), anchors=anchors))
    if output == "json":
        print(msgspec.json.encode(_answer(found)).decode())
    else:
        print("\n".join(_lines(found)))
    return ExitCode.FAILED if found.faults else ExitCode.OK


@audit.command
def export(
    *,
    config: ConfigFile = None,
    state_dir: Path | None = None,
    out: Path | None = None,
    since: Sequence = 1,
    until: Sequence | None = None,
) -> int:
    """Write the log as JSON lines, each with its hash and the one before it.

    Parameters
    ----------
    config
        The YAML file; without it defaults and environment.
    state_dir
        The directory of a system that `tradesaga up` runs.
    out
        The file to write, which must be new; standard output without it.
    since
        The number of the first row.
    until
        The number of the last row; the head without it.
    """
    options = AuditOptions(config=config, state_dir=state_dir)
    with sys.stdout.buffer if out is None else out.open("xb") as target:
        coming = export_log(
            options, process_environment(), after=since - 1, until=until, out=target
        )
        written = asyncio.run(coming)
    print(f"{written:,} rows exported", file=sys.stderr)
    return ExitCode.OK


def _lines(found: ChainCheck) -> Iterator[str]:
    for fault in found.faults:
        yield f"row {fault.seq}: {fault.what}"
    times = f", {found.first_at:%Y-%m-%d %H:%M} to {found.last_at:%Y-%m-%d %H:%M} UTC"
    yield f"{found.rows:,} rows after {found.begin.seq}{times if found.rows else ''}"
    yield f"the chain is {'BROKEN' if found.faults else 'whole'}, its head is"
    yield anchor_of(found.head)


def _answer(found: ChainCheck) -> dict[str, object]:
    return {
        "agentId": found.agent_id,
        "rows": found.rows,
        "after": found.begin.seq,
        "firstAt": found.first_at,
        "lastAt": found.last_at,
        "head": anchor_of(found.head),
        "whole": not found.faults,
        "faults": [{"seq": fault.seq, "what": fault.what} for fault in found.faults],
    }
