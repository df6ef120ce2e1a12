"""Brings the schema up to date: numbered files in dbmate's format, forward only.

Each migration is one transaction under one session lock, so two processes that start at once do
the work once. The checksum of an applied file is kept and compared ever after. The book of what
was applied is `public.schema_migrations`, which dbmate can read, too. The schema's name stands as
`orchestration` in the files; another name is put in its place word by word.

Refuses, naming the file and the remedy: a file that was changed after it was applied, a database
that knows a migration which this program does not (a newer program has been here).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from importlib.resources import files

import asyncpg

from tradesaga.adapters.postgres.connection import LOST, Connection, connect
from tradesaga.domain.errors import Invalid, Refused, Unavailable

SCHEMA = "orchestration"
LOCK_KEY = 0x7473_6D69_6772  # "tsmigr": one lock for all schemas of a database
LOCK_WAIT_MS_MAX = 60_000
"""How long another migrator may work, or a reader hold a table that a migration alters."""
STATEMENT_MS_MAX = 600_000
_FILE_NAME = re.compile(r"(\d{4})_(\w+)\.sql")
_SCHEMA_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_UP, _DOWN = "-- migrate:up", "-- migrate:down"
_BOOK = """
create table if not exists public.schema_migrations (
  schema text not null default 'orchestration',
  version varchar(128) not null,
  name text not null default '',
  checksum text,
  applied_at timestamp with time zone not null default clock_timestamp(),
  primary key (schema, version)
)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One file; `checksum` is the SHA-256 of its text as hexadecimal digits."""

    version: str
    name: str
    sql: str
    checksum: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationStatus:
    """Where a migration stands in a database; `applied_at` is None while it is pending."""

    version: str
    name: str
    applied_at: datetime | None


def migrations() -> Sequence[Migration]:
    """All migrations of this program, in order."""
    found = []
    for path in files(__package__).joinpath("migrations").iterdir():
        if (named := _FILE_NAME.fullmatch(path.name)) is not None:
            text = path.read_text(encoding="utf-8")
            found.append(
                Migration(
                    version=named[1],
                    name=named[2],
                    sql=text.partition(_UP)[2].partition(_DOWN)[0],
                    checksum=sha256(text.encode()).hexdigest(),
                )
            )
    return sorted(found, key=lambda migration: migration.version)


async def migrate(
    dsn: str, *, schema: str, known: Sequence[Migration] | None = None
) -> Sequence[str]:
    """Apply what is missing and return those versions; `known` defaults to `migrations()`.

    Raises:
        Invalid: the database and this program do not fit together; says what to do.
        Refused: something is missing and this user may not add it.
        Unavailable: the database gave no answer; finished migrations stay applied.
    """
    known = migrations() if known is None else known
    _check_schema(schema)
    try:
        connection = await connect(
            dsn, application="tradesaga migrate", command_time_max=None, schema=schema
        )
        try:
            if not _pending(known, await _applied(connection, schema)):
                return ()
            return await _apply_all(connection, schema, known)
        finally:
            await connection.close(timeout=3)
    except asyncpg.InsufficientPrivilegeError as error:
        raise Refused(
            f"the schema cannot be brought up to date: {error}; run `tradesaga migrate up` as the "
            "schema's owner",
            code=error.sqlstate or "",
        ) from error
    except asyncpg.LockNotAvailableError as error:
        raise Unavailable(
            "the schema is locked for longer than a minute: end the other migration or session"
        ) from error
    except LOST as error:
        raise Unavailable(f"the database gave no answer: {error}") from error


async def status(
    dsn: str, *, schema: str, known: Sequence[Migration] | None = None
) -> Sequence[MigrationStatus]:
    """All migrations of this program and when each was applied. Raises as `migrate`."""
    known = migrations() if known is None else known
    _check_schema(schema)
    try:
        connection = await connect(
            dsn, application="tradesaga migrate", command_time_max=10, schema=schema
        )
        try:
            applied = await _applied(connection, schema)
        finally:
            await connection.close(timeout=3)
    except asyncpg.InsufficientPrivilegeError as error:
        raise Refused(
            f"the book of migrations cannot be read: {error}", code=error.sqlstate or ""
        ) from error
    except LOST as error:
        raise Unavailable(f"the database gave no answer: {error}") from error
    _pending(known, applied)
    return [
        MigrationStatus(
            version=migration.version,
            name=migration.name,
            applied_at=applied[migration.version].applied_at
            if migration.version in applied
            else None,
        )
        for migration in known
    ]


@dataclass(frozen=True, slots=True)
class _Applied:
    name: str
    checksum: str | None
    applied_at: datetime


async def _apply_all(
    connection: Connection, schema: str, known: Sequence[Migration]
) -> Sequence[str]:
    await connection.execute(f"set lock_timeout = {LOCK_WAIT_MS_MAX}")
    await connection.execute(f"set statement_timeout = {STATEMENT_MS_MAX}")
    # The session's end gives it back, however the session ends.
    await connection.execute("select pg_advisory_lock($1)", LOCK_KEY)
    pending = _pending(known, await _applied(connection, schema))  # as the one before left it
    for migration in pending:
        async with connection.transaction():
            await connection.execute(_BOOK)
            await connection.execute(_in_schema(migration.sql, schema))
            await connection.execute(
                "insert into public.schema_migrations (schema, version, name, checksum)"
                " values ($1, $2, $3, $4)",
                schema,
                migration.version,
                migration.name,
                migration.checksum,
            )
    return [migration.version for migration in pending]


async def _applied(connection: Connection, schema: str) -> Mapping[str, _Applied]:
    try:
        rows = await connection.fetch(
            "select version, name, checksum, applied_at from public.schema_migrations"
            " where schema = $1",
            schema,
        )
    except asyncpg.UndefinedTableError:
        return {}
    return {r["version"]: _Applied(r["name"], r["checksum"], r["applied_at"]) for r in rows}


def _pending(known: Sequence[Migration], applied: Mapping[str, _Applied]) -> Sequence[Migration]:
    problems = [
        f"migration {version} ({applied[version].name}) is in the database and unknown to this"
        " program: a newer one has been here, run that or restore the backup from before it"
        for version in sorted(set(applied) - {migration.version for migration in known})
    ]
    for migration in known:
        before = applied.get(migration.version)
        # dbmate keeps no checksums
        if before is not None and before.checksum not in (None, migration.checksum):
            problems.append(
                f"{migration.version}_{migration.name}.sql was changed after it was applied:"
                " restore the released file and put the change into a new migration"
            )
    if problems:
        raise Invalid(problems)
    return [migration for migration in known if migration.version not in applied]


def _check_schema(schema: str) -> None:
    if _SCHEMA_NAME.fullmatch(schema) is None:
        raise Invalid(
            [f"schema {schema!r} is no plain name: use lower-case letters, digits and underscores"]
        )


def _in_schema(sql: str, schema: str) -> str:
    return re.sub(rf"\b{SCHEMA}\b", schema, sql)
