"""How connections are made: bounded in time, UTC, one fixed search path, and which errors mean that
the server is gone.
"""

from __future__ import annotations

import asyncio
from typing import TypeAlias

import asyncpg

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
    asyncio.IncompleteReadError,
)
"""The server gave no usable answer; a statement under way may have been committed."""

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"  # generic in the stubs alone


async def connect(
    dsn: str,
    *,
    application: str,
    command_time_max: float | None,
    schema: str = "orchestration",
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
