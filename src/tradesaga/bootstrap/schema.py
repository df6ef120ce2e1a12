"""The schema for the command line: up to date, or where it is."""

from __future__ import annotations

from collections.abc import Sequence

from tradesaga.adapters.postgres.migrate import MigrationStatus, migrate, status
from tradesaga.bootstrap.translation import dsn_of
from tradesaga.config import Settings

__all__ = ["MigrationStatus", "bring_up_to_date", "schema_status"]


async def bring_up_to_date(settings: Settings) -> Sequence[str]:
    """Apply what is missing and return those versions. Raises Invalid, Unavailable."""
    return await migrate(dsn_of(settings), schema=settings.database.schema)


async def schema_status(settings: Settings) -> Sequence[MigrationStatus]:
    """All migrations and when each was applied. Raises Invalid, Unavailable."""
    return await status(dsn_of(settings), schema=settings.database.schema)
