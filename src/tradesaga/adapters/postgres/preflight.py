"""The start check of a Postgres server: would it keep what it acknowledges?

Every setting is read back from the server, the embedded one included: what a file or a command
line says is not evidence. Nothing is changed. The caller decides whether a problem is fatal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from urllib.parse import parse_qs, urlsplit

import asyncpg

from tradesaga.domain.errors import Refused, Unavailable

VERSION_MIN = 15
SECONDS_MAX = 3.0

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


async def check_postgres(dsn: str) -> ServerReport:
    """Connect and judge version, durability, role and rights.

    Raises Unavailable if it cannot be reached, Refused if it refuses the login.
    """
    place = _place(dsn)
    try:
        connection = await asyncpg.connect(
            dsn,
            timeout=SECONDS_MAX,
            command_timeout=SECONDS_MAX,
            statement_cache_size=0,  # PgBouncer in transaction mode has no prepared statements
        )
        try:
            row = await connection.fetchrow(_query())
        finally:
            await connection.close(timeout=SECONDS_MAX)
    except (
        asyncpg.InvalidAuthorizationSpecificationError,  # a wrong password is one
        asyncpg.InvalidCatalogNameError,
    ) as error:
        raise Refused(
            f"Postgres at {place} refuses the login: {error}; check DB_USER, DB_PASSWORD, DB_NAME",
            code=error.sqlstate or "",
        ) from error
    except (
        OSError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,  # seen when the server dies in mid-answer
    ) as error:
        reason = str(error) or f"no answer within {SECONDS_MAX:.0f} s"
        raise Unavailable(
            f"Postgres at {place} cannot be reached: {reason}; start it, check DB_HOST and "
            "DB_PORT, or leave them out to use the embedded server"
        ) from error
    assert row is not None, "a select without from has one row"
    problems = (f"Postgres at {place}: {problem}" for problem in _problems(row))
    return ServerReport(version=row["version"], problems=tuple(problems))


def _problems(row: asyncpg.Record) -> Iterator[str]:
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
            f"user {user} may neither create nor use the schema orchestration; "
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
