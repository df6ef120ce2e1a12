"""The archive on Postgres: tables that inherit from the working ones (`migrations/0012`).

Each move is one statement of `sql/retention.sql` and so one transaction: the rows are deleted from
the working tables and inserted into the archive, or neither. The statement locks the agent's head
row FOR KEY SHARE under its epoch: a takeover waits for it, a batch of the journal does not. It has
a connection of its own with short limits, so that it never makes others wait for long: rows that
somebody holds are passed over.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import asyncpg

from tradesaga.adapters.postgres.connection import LOST, Connection, KeptConnection
from tradesaga.adapters.postgres.queries import load
from tradesaga.domain.errors import Fenced, Refused, Unavailable
from tradesaga.domain.ids import AgentId
from tradesaga.domain.retention import Kind
from tradesaga.ports.archive import TableSize

COMMAND_SECONDS_MAX = 3.0
SETTINGS = {
    # Below the time that a takeover waits for its own statement.
    "statement_timeout": "1500",
    "lock_timeout": "100",
    # Few rows by key out of large tables, whatever the statistics say.
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}
_SQL: Mapping[str, str] = {name: query.sql for name, query in load("retention").items()}


class PostgresArchive:
    """Implements `ports.archive.Archive`."""

    def __init__(self, dsn: str, *, schema: str) -> None:
        self._kept = KeptConnection(
            dsn,
            application="tradesaga archive",
            command_time_max=COMMAND_SECONDS_MAX,
            schema=schema,
            **SETTINGS,
        )

    async def move(
        self, agent_id: AgentId, kind: Kind, *, epoch: int, before: datetime, rows_max: int
    ) -> Mapping[str, int]:
        """Move at most `rows_max` rows of `kind` with what belongs to them, or nothing."""
        async with self._connected() as connection:
            row = await connection.fetchrow(_SQL[kind], agent_id, epoch, before, rows_max)
        assert row is not None, "the statement counts, so it always has a row"
        counts = dict(row)
        if not counts.pop("held"):
            raise Fenced(f"agent {agent_id} is not held under epoch {epoch}: take the lease again")
        return counts

    async def sizes(self) -> Sequence[TableSize]:
        """The tables that are looked after, and the log, by name."""
        async with self._connected() as connection:
            rows = await connection.fetch(_SQL["sizes"])
        return [TableSize(**dict(row)) for row in rows]

    async def close(self) -> None:
        """Close the connection; what it has begun is finished or undone by the server."""
        await self._kept.close()

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Connection]:
        async with self._kept.lent("the archive") as connection:
            try:
                yield connection
            except asyncpg.LockNotAvailableError as error:
                raise Unavailable("the rows are in use: they are archived later") from error
            except LOST:
                raise
            except asyncpg.PostgresError as error:
                raise Refused(f"cannot archive: {error}", code=error.sqlstate or "") from error
