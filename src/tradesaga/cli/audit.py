"""`tradesaga audit`: the hash-chained log of all that the agent did, listed, checked, exported."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

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
from tradesaga.cli.asking import tell
from tradesaga.cli.client import Server, call
from tradesaga.cli.exit_codes import ExitCode
from tradesaga.cli.flags import ConfigFile, Output, PageSize
from tradesaga.cli.rendering import moment, more, table
from tradesaga.config import process_environment

audit: Final = App(name="audit", help="List, check or export the audit log.")
HERE: Final = Server()
COLUMNS: Final = ("NUMBER", "AT", "ACTION", "SUBJECT", "ACTOR")
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


@audit.command(name="ls")
async def listed(
    *,
    since: Annotated[str | None, Parameter(name="--from")] = None,
    until: Annotated[str | None, Parameter(name="--to")] = None,
    actor: str | None = None,
    action: str | None = None,
    limit: PageSize = 20,
    cursor: str | None = None,
    server: Server = HERE,
) -> int:
    """List what was done and by whom, the latest first.

    Parameters
    ----------
    since
        A time with its zone: rows from then on.
    until
        A time with its zone: rows before then.
    actor
        How the actor begins, as engine or api:ann.
    action
        How the action begins, as agent. or token.
    limit
        How many, 1 to 1000.
    cursor
        Where to go on, as the page before has told it.
    """
    query: dict[str, str | int | None] = {
        "from": since, "to": until, "actor": actor, "action": action, "limit": limit,
        "cursor": cursor,
    }  # fmt: skip
    given = {name: value for name, value in query.items() if value is not None}
    return await tell(server, call(server, "GET", "/audit", query=given), _page)


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


def _page(answer: Mapping[str, Any]) -> list[str]:
    rows = [
        (str(one["seq"]), moment(one["at"]), one["action"], one["subject"], one["actor"])
        for one in answer["entries"]
    ]
    lines = table(COLUMNS, rows, right=(0,)) if rows else ["no rows"]
    return [*lines, *more(answer)]


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
