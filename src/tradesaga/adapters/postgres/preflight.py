"""The start check of a Postgres server: would it keep what it acknowledges?

Every setting is read back from the server, the embedded one included: what a file or a command
line says is not evidence. Nothing is changed. The caller decides whether a problem is fatal.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files
from urllib.parse import parse_qs, urlsplit

import asyncpg

from tradesaga.adapters.postgres.connection import Connection, server_settings
from tradesaga.domain.errors import Refused, Unavailable

VERSION_MIN = 15
SECONDS_MAX = 3.0
_SESSION = "select pg_backend_pid() as backend, current_setting('search_path') as search_path"
_UNKNOWN_PARAMETER = "unsupported startup parameter"
"""What PgBouncer says of a setting that it does not pass on."""

_DURABILITY = {
    "fsync": "a power cut may corrupt or lose committed orders",
    "full_page_writes": "a power cut in the middle of a write may corrupt a page",
    "synchronous_commit": "a commit is acknowledged before it is on the disk",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerReport:
    """What the server is, and each problem with its remedy."""

    version: str
    problems: tuple[str, ...]


async def check_postgres(dsn: str, *, schema: str) -> ServerReport:
    """Connect and judge version, durability, role and rights.

    Raises Unavailable if it cannot be reached, Refused if it refuses the login, or is a pooler that
    does not keep sessions as they are.
    """
    place = _place(dsn)
    try:
        async with _connected(dsn, schema) as connection, _connected(dsn, schema) as beside:
            sessions = [await one.fetchrow(_SESSION) for one in (connection, beside)]
            row = await connection.fetchrow(_query(), schema)
    except (
        asyncpg.InvalidAuthorizationSpecificationError,  # a wrong password is one
        asyncpg.InvalidCatalogNameError,
    ) as error:
        raise Refused(
            f"Postgres at {place} refuses the login: {error}; check DB_USER, DB_PASSWORD, DB_NAME",
            code=error.sqlstate or "",
        ) from error
    except asyncpg.ProtocolViolationError as error:
        if _UNKNOWN_PARAMETER not in str(error):
            raise _unreachable(place, str(error)) from error
        raise _pooled(place, f"{error}: it does not pass on what a session asks for") from error
    except (
        OSError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,  # seen when the server dies in mid-answer
    ) as error:
        raise _unreachable(place, str(error) or f"no answer within {SECONDS_MAX:.0f} s") from error
    if len({one["backend"] for one in sessions if one is not None}) == 1:
        raise _pooled(place, "two sessions had one backend, so none keeps its locks and settings")
    if any(one is None or one["search_path"] != schema for one in sessions):
        raise _pooled(place, "it forgets what a session asks for")
    assert row is not None, "a select without from has one row"
    problems = (f"Postgres at {place}: {problem}" for problem in _problems(row, schema))
    return ServerReport(version=row["version"], problems=tuple(problems))


@asynccontextmanager
async def _connected(dsn: str, schema: str) -> AsyncIterator[Connection]:
    """A session like all of ours, so that it is refused where they would be."""
    connection: Connection = await asyncpg.connect(
        dsn,
        timeout=SECONDS_MAX,
        command_timeout=SECONDS_MAX,
        statement_cache_size=0,  # PgBouncer in transaction mode has no prepared statements
        server_settings=server_settings("tradesaga check", schema),
    )
    try:
        yield connection
    finally:
        await connection.close(timeout=SECONDS_MAX)


def _unreachable(place: str, reason: str) -> Unavailable:
    return Unavailable(
        f"Postgres at {place} cannot be reached: {reason}; start it, check DB_HOST and "
        "DB_PORT, or leave them out to use the embedded server"
    )


def _pooled(place: str, reason: str) -> Refused:
    return Refused(
        f"Postgres at {place} is behind a pooler: {reason}; give the address of the server itself"
    )


def _problems(row: asyncpg.Record, schema: str) -> Iterator[str]:
    if row["version_number"] < VERSION_MIN * 10_000:
        yield f"version {row['version']} is too old; upgrade to {VERSION_MIN} or later"
    for setting, consequence in _DURABILITY.items():
        if row[setting] == "off":
            yield f"{setting} is off: {consequence}; set {setting} = on"
    if row["in_recovery"]:
        yield "it is a read-only replica; give the address of the primary"
    elif row["read_only"] == "on":
        yield "transactions are read-only; set default_transaction_read_only = off for this user"
    if row["encoding"] != "UTF8":
        yield f"the database's encoding is {row['encoding']}; create it with encoding UTF8"
    if not row["may_work"]:
        database, user = row["database_name"], row["user_name"]
        yield (
            f"user {user} may neither create nor use the schema {schema}; "
            f'grant create on database "{database}" to "{user}", or as the schema\'s owner run '
            "`tradesaga migrate roles`"
        )


def _query() -> str:
    return files("tradesaga.adapters.postgres").joinpath("sql/preflight.sql").read_text("utf-8")


def _place(dsn: str) -> str:
    """Return host, port and database of a DSN; the password must not reach a log."""
    parts = urlsplit(dsn)
    query = parse_qs(parts.query)
    host = parts.hostname or query.get("host", ["localhost"])[0]
    port = parts.port or query.get("port", ["5432"])[0]
    return f"{host}:{port}{parts.path}"
