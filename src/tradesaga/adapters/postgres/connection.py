"""How connections are made: bounded in time, UTC, one fixed search path, and which errors mean that
the server is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeAlias

import asyncpg

from tradesaga.domain.errors import Damaged, Unavailable

CONNECT_SECONDS_MAX = 3.0
LOST = (
    OSError,  # refused, socket file gone; TimeoutError is one of them
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # seen when the server is killed in mid-answer
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shut down, starting up, terminated, query cancelled
    asyncpg.InsufficientResourcesError,  # disk full, too many connections
    asyncpg.PostgresSystemError,
    asyncpg.TransactionRollbackError,  # deadlock, serialization
    asyncpg.LockNotAvailableError,  # the role's lock_timeout
    asyncio.IncompleteReadError,
)
"""The server gave no usable answer; a statement under way may have been committed."""

DAMAGED = (asyncpg.DataCorruptedError, asyncpg.IndexCorruptedError)
"""A page without its checksum, a tuple that cannot be: what was asked can only be restored."""

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"  # generic in the stubs alone


async def connect(
    dsn: str,
    *,
    application: str,
    command_time_max: float | None,
    schema: str,
    **settings: str,
) -> Connection:
    """Open a connection of one's own; `settings` are server settings of the session.

    Raises one of LOST, or another PostgresError when the server refuses us.
    """
    connection: Connection = await asyncpg.connect(
        dsn,
        timeout=CONNECT_SECONDS_MAX,
        command_timeout=command_time_max,
        server_settings=server_settings(application, schema) | settings,
    )
    return connection


def server_settings(application: str, schema: str) -> dict[str, str]:
    """What every session of ours has."""
    return {
        "application_name": application,
        "search_path": schema,
        "timezone": "UTC",
        "idle_in_transaction_session_timeout": "1s",
    }


def damaged(error: Exception) -> Damaged:
    """Our error for one of DAMAGED."""
    return Damaged(f"the database is damaged: {error}")


class KeptConnection:
    """A connection of one's own, lent to one at a time and opened again when it was lost."""

    def __init__(
        self, dsn: str, *, application: str, command_time_max: float, schema: str, **settings: str
    ) -> None:
        self._dsn, self._application, self._schema = dsn, application, schema
        self._command_time_max, self._settings = command_time_max, settings
        self._connection: Connection | None = None
        self._one_at_a_time = asyncio.Lock()

    @asynccontextmanager
    async def lent(self, purpose: str) -> AsyncIterator[Connection]:
        """Lend it. Raises Unavailable, naming the purpose, when the server gives no answer."""
        async with self._one_at_a_time:
            try:
                if self._connection is None or self._connection.is_closed():
                    self._connection = await connect(
                        self._dsn,
                        application=self._application,
                        command_time_max=self._command_time_max,
                        schema=self._schema,
                        **self._settings,
                    )
                yield self._connection
            except LOST as error:
                self._drop()
                raise Unavailable(f"no answer about {purpose}: {error!r}") from error
            except DAMAGED as error:
                raise damaged(error) from error

    async def close(self) -> None:
        """Close it; what it has begun is finished or undone by the server."""
        async with self._one_at_a_time:
            self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
