"""`tradesaga migrate`: the schema, forward only."""

from __future__ import annotations

import asyncio
import json
from typing import Final

from cyclopts import App

from tradesaga.bootstrap.schema import bring_up_to_date, schema_status
from tradesaga.cli.exit_codes import ExitCode
from tradesaga.cli.flags import ConfigFile, Output
from tradesaga.config import load, process_environment

migrate: Final = App(
    name="migrate", help="Bring the database's schema up to date, or show where it is."
)


@migrate.command
def up(*, config: ConfigFile = None, output: Output = "text") -> int:
    """Apply every migration that is missing; safe to run from two processes at once.

    Parameters
    ----------
    config
        The YAML file; without it defaults and environment.
    output
        Text for people or JSON for programs.
    """
    applied = asyncio.run(bring_up_to_date(load(config, process_environment()).settings))
    if output == "json":
        print(json.dumps({"applied": list(applied)}))
    else:
        print(f"applied {', '.join(applied)}" if applied else "the schema is up to date")
    return ExitCode.OK


@migrate.command
def status(*, config: ConfigFile = None, output: Output = "text") -> int:
    """Show every migration and when it was applied.

    Parameters
    ----------
    config
        The YAML file; without it defaults and environment.
    output
        Text for people or JSON for programs.
    """
    found = asyncio.run(schema_status(load(config, process_environment()).settings))
    if output == "json":
        rows = [
            {
                "version": one.version,
                "name": one.name,
                "appliedAt": None if one.applied_at is None else one.applied_at.isoformat(),
            }
            for one in found
        ]
        print(json.dumps({"migrations": rows}))
        return ExitCode.OK
    for one in found:
        when = "pending" if one.applied_at is None else f"{one.applied_at:%Y-%m-%d %H:%M:%S} UTC"
        print(f"{one.version}  {one.name:<16}  {when}")
    return ExitCode.OK
