"""Who may do what in the database: the owner applies migrations, the service works with less.

The service as `tradesaga_app` reads and writes rows; it can neither alter nor drop a table, nor
change or remove a row of the log, whatever a mistake or an intruder makes it say. Dashboards come
as `tradesaga_reader`, who audits as `tradesaga_auditor`. `sql/roles.sql` is the whole of it.

What a role lacks is told by name. A user with every right, the owner, lacks nothing and is told
nothing: one role for all is still a way to run it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib.resources import files
from typing import Final

import asyncpg

from tradesaga.adapters.postgres.connection import LOST, Connection, connect
from tradesaga.adapters.postgres.migrate import LOCK_KEY, SCHEMA
from tradesaga.domain.errors import Refused, Unavailable

APP: Final = "tradesaga_app"
READER: Final = "tradesaga_reader"
AUDITOR: Final = "tradesaga_auditor"
COMMAND_SECONDS_MAX: Final = 20.0
_LOG: Final = "journal_log"

_LACKING = """
select format('%s on %I.%I', lower(right_), n.nspname, c.relname)
from pg_class c join pg_namespace n on n.oid = c.relnamespace,
  unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE']) right_
where n.nspname = $1 and c.relkind = 'r'
  and (right_ <> 'UPDATE' or c.relname <> $3)
  and (right_ <> 'DELETE' or c.relname = any ($4))
  and not has_table_privilege($2, c.oid, right_)
union all
select format('usage on sequence %I.%I', n.nspname, c.relname)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1
  and case c.relkind when 'S' then not has_sequence_privilege($2, c.oid, 'USAGE') else false end
order by 1"""
_DELETES_FROM: Final = (
    *("sagas", "orders", "venue_order_ids", "reservations", "fills", "trades", "decisions"),
    *("cycles", "cycle_logs", "inbox", "dead_letters", "kept_answers", "relay_marks", "nodes"),
)
_SETTINGS_OF = """
select coalesce(array_agg(one), '{}')
from pg_db_role_setting s join pg_roles r on r.oid = s.setrole, unnest(s.setconfig) one
where r.rolname = $1
  and s.setdatabase = (select oid from pg_database where datname = current_database())"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a session of each role may take; the client's own deadlines are shorter."""

    statement: timedelta = timedelta(seconds=30)
    lock: timedelta = timedelta(seconds=10)
    idle_in_transaction: timedelta = timedelta(seconds=1)

    def settings(self) -> dict[str, str]:
        """As the server's settings."""
        return {
            "statement_timeout": _ms(self.statement),
            "lock_timeout": _ms(self.lock),
            "idle_in_transaction_session_timeout": _ms(self.idle_in_transaction),
        }


def roles_sql(database: str, limits: Limits, schema: str) -> str:
    """All statements, to be run by the owner of the schema in that database."""
    text = files(__package__).joinpath("sql/roles.sql").read_text(encoding="utf-8")
    quoted = '"' + database.replace('"', '""') + '"'
    ends = [
        f"alter role {role} in database {quoted} set {name} = '{value}';"
        for role in (APP, READER, AUDITOR)
        for name, value in limits.settings().items()
    ]
    return re.sub(rf"\b{SCHEMA}\b", schema, text) + "\n" + "\n".join(ends) + "\n"


async def make_roles(dsn: str, limits: Limits, *, schema: str) -> bool:
    """Make the roles and give them their rights, unless all is as it should be; whether it was not.

    The schema must be up to date. Raises Refused when `dsn`'s user may not do so, Unavailable.
    """
    try:
        connection = await connect(
            dsn, application="tradesaga roles", command_time_max=COMMAND_SECONDS_MAX, schema=schema
        )
        try:
            await connection.execute("select pg_advisory_lock($1)", LOCK_KEY)
            if not await _amiss(connection, limits, schema):
                return False
            database: str = await connection.fetchval("select current_database()")
            async with connection.transaction():
                await connection.execute(roles_sql(database, limits, schema))
        finally:
            await connection.close(timeout=3)
    except asyncpg.InsufficientPrivilegeError as error:
        raise Refused(
            f"the roles cannot be made: {error}; run `tradesaga migrate roles` as the owner of the "
            "schema with the right to make roles, or give its --print to an administrator",
            code=error.sqlstate or "",
        ) from error
    except LOST as error:
        raise Unavailable(f"the database gave no answer: {error!r}") from error
    return True


async def set_password(dsn: str, role: str, verifier: str) -> None:
    """Let the role log in with a password. Raises Unavailable."""
    assert role in (APP, READER, AUDITOR), f"{role} is none of our roles"
    try:
        connection = await connect(
            dsn,
            application="tradesaga roles",
            command_time_max=COMMAND_SECONDS_MAX,
            schema="pg_catalog",
        )
        try:
            text: str = await connection.fetchval(
                "select format('alter role %I password %L', $1::text, $2::text)", role, verifier
            )
            await connection.execute(text)
        finally:
            await connection.close(timeout=3)
    except LOST as error:
        raise Unavailable(f"the database gave no answer: {error!r}") from error


async def lacking(dsn: str, *, schema: str) -> Sequence[str]:
    """What the user of `dsn` may not do but must, each by name. Raises Unavailable."""
    try:
        connection = await connect(
            dsn, application="tradesaga roles", command_time_max=COMMAND_SECONDS_MAX, schema=schema
        )
        try:
            user: str = await connection.fetchval("select current_user")
            return [f"user {user} lacks {one}" for one in await _lacks(connection, user, schema)]
        finally:
            await connection.close(timeout=3)
    except LOST as error:
        raise Unavailable(f"the database gave no answer: {error!r}") from error


async def _amiss(connection: Connection, limits: Limits, schema: str) -> bool:
    known = {r[0] for r in await connection.fetch("select rolname from pg_roles")}
    if not {APP, READER, AUDITOR} <= known:
        return True
    expected = {f"{name}={value}" for name, value in limits.settings().items()}
    for role in (APP, READER, AUDITOR):
        if not expected <= set(await connection.fetchval(_SETTINGS_OF, role)):
            return True
    if await _lacks(connection, APP, schema) or await _may_change_log(connection, schema):
        return True
    return not await connection.fetchval(
        "select bool_and(has_table_privilege($2, c.oid, 'SELECT'))"
        " from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where n.nspname = $1 and c.relkind in ('r', 'v')"
        " and c.relname not in ('api_tokens', 'kept_answers')",
        schema,
        READER,
    )


async def _lacks(connection: Connection, user: str, schema: str) -> Sequence[str]:
    rows = await connection.fetch(_LACKING, schema, user, _LOG, list(_DELETES_FROM))
    return [row[0] for row in rows]


async def _may_change_log(connection: Connection, schema: str) -> bool:
    allowed: bool = await connection.fetchval(
        "select coalesce(bool_or("
        "has_table_privilege($2, c.oid, 'UPDATE, DELETE, TRUNCATE')), false)"
        " from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where n.nspname = $1 and c.relname = $3",
        schema,
        APP,
        _LOG,
    )
    return allowed


def _ms(time: timedelta) -> str:
    return f"{round(time.total_seconds() * 1000)}ms"
