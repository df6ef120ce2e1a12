"""`tradesaga migrate`: the schema, forward only."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Annotated, Final, TypeAlias

from cyclopts import App, Parameter

from tradesaga.bootstrap.schema import (
    MigrationStatus,
    bring_up_to_date,
    give_rights,
    missing_now,
    rights_sql,
    schema_status,
)
from tradesaga.cli.exit_codes import ExitCode
from tradesaga.cli.flags import ConfigFile, Output
from tradesaga.config import Settings, load, process_environment

PrintOnly: TypeAlias = Annotated[bool, Parameter(name="--print", negative=())]

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
    settings = load(config, process_environment()).settings
    found, lacks = asyncio.run(_state(settings))
    if output == "json":
        rows = [
            {
                "version": one.version,
                "name": one.name,
                "appliedAt": None if one.applied_at is None else one.applied_at.isoformat(),
            }
            for one in found
        ]
        print(json.dumps({"migrations": rows, "missing": list(lacks)}))
        return ExitCode.OK
    for one in found:
        when = "pending" if one.applied_at is None else f"{one.applied_at:%Y-%m-%d %H:%M:%S} UTC"
        print(f"{one.version}  {one.name:<16}  {when}")
    for what in lacks:
        print(f"missing: {what}")
    return ExitCode.OK


@migrate.command
def roles(*, config: ConfigFile = None, print_: PrintOnly = False, output: Output = "text") -> int:
    """Make the database's roles and give them their rights, as the owner of the schema.

    Parameters
    ----------
    config
        The YAML file; without it defaults and environment.
    print_
        Only print the SQL, for an administrator to run.
    output
        Text for people or JSON for programs.
    """
    settings = load(config, process_environment()).settings
    if print_:
        sql = rights_sql(settings)
        print(json.dumps({"sql": sql}) if output == "json" else sql, end="")
        return ExitCode.OK
    changed = asyncio.run(give_rights(settings))
    if output == "json":
        print(json.dumps({"changed": changed}))
    else:
        print("made" if changed else "the roles are as they should be")
    return ExitCode.OK


async def _state(settings: Settings) -> tuple[Sequence[MigrationStatus], Sequence[str]]:
    """The migrations, and which rights our user lacks when all of them are applied."""
    found = await schema_status(settings)
    if any(one.applied_at is None for one in found):
        return found, ()
    return found, await missing_now(settings)
