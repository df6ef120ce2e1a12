"""Creating our database on a server that does not have it yet."""

from __future__ import annotations

import asyncpg

from tradesaga.adapters.postgres.connection import CONNECT_SECONDS_MAX, LOST
from tradesaga.domain.errors import Refused, Unavailable

COMMAND_SECONDS_MAX = 20.0


async def ensure_database(maintenance_dsn: str, name: str) -> bool:
    """Create `name` unless it exists; True if it was created. Safe from two processes at once.

    `maintenance_dsn` names a database that is always there, as `postgres`. Raises Unavailable, and
    Refused when the server does not let this user in or lacks the right to create.
    """
    try:
        connection = await asyncpg.connect(
            maintenance_dsn, timeout=CONNECT_SECONDS_MAX, command_timeout=COMMAND_SECONDS_MAX
        )
        try:
            known = await connection.fetchval(
                "select exists (select 1 from pg_database where datname = $1)", name
            )
            if known:
                return False
            quoted = '"' + name.replace('"', '""') + '"'
            await connection.execute(f"create database {quoted} template template0 encoding 'UTF8'")
        finally:
            await connection.close(timeout=CONNECT_SECONDS_MAX)
    except (asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
        return False  # another process was first
    except (
        asyncpg.InsufficientPrivilegeError,
        asyncpg.InvalidAuthorizationSpecificationError,
    ) as error:
        raise Refused(
            f"database {name} does not exist and cannot be created: {error}; create it as an "
            "administrator, or name another with database.name",
            code=error.sqlstate or "",
        ) from error
    except LOST as error:
        raise Unavailable(f"the database server gave no answer: {error!r}") from error
    return True
