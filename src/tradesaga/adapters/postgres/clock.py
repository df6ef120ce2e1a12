"""The database's clock, to compare the host's with."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from tradesaga.adapters.postgres.connection import KeptConnection
from tradesaga.adapters.postgres.queries import QUERIES
from tradesaga.ports.clock import Offset

COMMAND_SECONDS_MAX = 2.0


class PostgresClock:
    """Implements `ports.clock.OtherClock` by `clock_timestamp()`, read half-way to its answer."""

    def __init__(self, dsn: str, host_now: Callable[[], datetime], *, schema: str) -> None:
        self._host_now = host_now
        self._kept = KeptConnection(
            dsn,
            application="tradesaga clock",
            command_time_max=COMMAND_SECONDS_MAX,
            schema=schema,
        )

    async def offset(self) -> Offset:
        """Ask, and take half of the way there and back for the doubt. Raises Unavailable."""
        async with self._kept.lent("the time") as connection:
            before = self._host_now()
            told: datetime = await connection.fetchval(QUERIES["clock"])
            doubt = (self._host_now() - before) / 2
        return Offset(ahead=before + doubt - told, doubt=abs(doubt))

    async def close(self) -> None:
        """Close the connection."""
        await self._kept.close()
