"""The schema and its roles: up to date, or what is missing by name."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from structlog import get_logger

from tradesaga.adapters.postgres.migrate import MigrationStatus, migrate, status
from tradesaga.adapters.postgres.roles import Limits, lacking, make_roles, roles_sql
from tradesaga.bootstrap.translation import dsn_of
from tradesaga.config import Settings
from tradesaga.domain.errors import Invalid, Refused

__all__ = [
    "MigrationStatus",
    "bring_up_to_date",
    "fit_schema",
    "give_rights",
    "missing",
    "missing_now",
    "rights_sql",
    "role_limits",
    "schema_status",
]
log = get_logger()
OWNER_WAIT_SECONDS_MAX = 30.0
LOOK_SECONDS = 0.1


async def bring_up_to_date(settings: Settings) -> Sequence[str]:
    """Apply what is missing and return those versions. Raises Invalid, Refused, Unavailable."""
    return await migrate(dsn_of(settings), schema=settings.database.schema)


async def schema_status(settings: Settings) -> Sequence[MigrationStatus]:
    """All migrations and when each was applied. Raises Invalid, Unavailable."""
    return await status(dsn_of(settings), schema=settings.database.schema)


def role_limits(settings: Settings) -> Limits:
    """How long a session of each role may take."""
    database = settings.database
    return Limits(
        statement=database.statement_timeout,
        lock=database.lock_timeout,
        idle_in_transaction=database.idle_in_transaction_timeout,
    )


def rights_sql(settings: Settings) -> str:
    """What an administrator runs to make the roles."""
    database = settings.database
    return roles_sql(database.name, role_limits(settings), database.schema)


async def give_rights(settings: Settings) -> bool:
    """Make the roles, unless all is as it should be; whether it was not. Raises Refused."""
    return await make_roles(
        dsn_of(settings), role_limits(settings), schema=settings.database.schema
    )


async def missing(dsn: str, schema: str) -> Sequence[str]:
    """What the user of `dsn` needs and does not have: migrations and rights, each by name."""
    try:
        known = await status(dsn, schema=schema)
    except Refused as error:
        return [str(error)]
    if pending := [one for one in known if one.applied_at is None]:
        return [f"migration {one.version} ({one.name}) is not applied" for one in pending]
    return await lacking(dsn, schema=schema)


async def missing_now(settings: Settings) -> Sequence[str]:
    """See `missing`, for the configured user. Raises Invalid, Unavailable."""
    return await missing(dsn_of(settings), settings.database.schema)


async def fit_schema(dsn: str, schema: str) -> None:
    """Bring the schema up to date, or wait until its owner has done it for us.

    Raises:
        Invalid: after the wait something is still missing; each by name.
        Unavailable: the database gave no answer.
    """
    try:
        applied = await migrate(dsn, schema=schema)
    except Refused as error:
        log.info("waiting for the owner of the schema", said=str(error))
    else:
        if applied:
            log.info("migrated", versions=list(applied))
    found: Sequence[str] = ()
    try:
        async with asyncio.timeout(OWNER_WAIT_SECONDS_MAX):
            while True:
                if not (found := await missing(dsn, schema)):
                    return
                await asyncio.sleep(LOOK_SECONDS)  # noqa: TID251 -- before there is a clock
    except TimeoutError as error:
        remedy = "run `tradesaga migrate up` and `tradesaga migrate roles` as the schema's owner"
        raise Invalid([f"{one}: {remedy}" for one in found]) from error
