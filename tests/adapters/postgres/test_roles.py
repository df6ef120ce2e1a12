"""The service's role works and can do no more; readers read; what is missing is told by name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from urllib.parse import urlsplit

import asyncpg
import pytest

from tradesaga.adapters.postgres.connection import Connection
from tradesaga.adapters.postgres.migrate import SCHEMA, Migration, migrate, migrations
from tradesaga.adapters.postgres.roles import APP, AUDITOR, READER, Limits, lacking, make_roles
from tradesaga.bootstrap import schema as schema_of
from tradesaga.domain.errors import Invalid, Refused

SESSION = {"search_path": SCHEMA}


def of(dsn: str, role: str) -> str:
    return dsn.replace(f"{urlsplit(dsn).username}@", f"{role}@", 1)


async def connected(dsn: str, role: str) -> Connection:
    connection: Connection = await asyncpg.connect(of(dsn, role), server_settings=SESSION)
    return connection


@pytest.fixture
async def app(database_dsn: str) -> AsyncIterator[Connection]:
    connection = await connected(database_dsn, APP)
    yield connection
    await connection.close()


TABLES = "journal_log", "orders", "archived_orders", "heads", "api_tokens"


@pytest.mark.parametrize(
    "statement",
    [
        *(f"{verb} {table}" for table in TABLES for verb in ("drop table", "truncate")),
        *(f"alter table {table} add column x int" for table in TABLES),
        "alter table journal_log disable trigger kept",
        "update journal_log set actor = 'x'",
        "delete from journal_log",
        "delete from heads",
        "delete from risk_limits",
        "create table orchestration.mine (x int)",
        "create function orchestration.mine() returns int language sql as 'select 1'",
        "drop function orchestration.refuse_change_of_log() cascade",
        "drop schema orchestration cascade",
        "delete from public.schema_migrations",
        "set session_replication_role = replica",
        "create role mine",
        "alter role tradesaga_app superuser",
        "set role tradesaga",
    ],
)
async def test_the_service_cannot(app: Connection, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await app.execute(statement)


async def test_dashboards_read_and_no_more(database_dsn: str) -> None:
    reader = await connected(database_dsn, READER)
    for table in ("orders", "archived_orders", "audit_log", "cycles", "outbox"):
        await reader.fetch(f"select * from {table}")
    for statement in (
        "select * from api_tokens",
        "select * from kept_answers",
        "insert into nodes (id) values ('x')",
        "update orders set status = 'x'",
        "delete from inbox",
        "truncate inbox",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await reader.execute(statement)
    await reader.close()


async def test_who_audits_reads_the_log_alone(database_dsn: str) -> None:
    auditor = await connected(database_dsn, AUDITOR)
    await auditor.fetch("select * from audit_log")
    for statement in (
        "insert into heads default values",
        "select * from orders",
        "select * from api_tokens",
        "delete from journal_log",
        "create table orchestration.mine (x int)",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await auditor.execute(statement)
    await auditor.close()


@pytest.mark.parametrize("role", [APP, READER, AUDITOR])
async def test_each_role_has_its_time_limits(database_dsn: str, role: str) -> None:
    limits = Limits(
        statement=timedelta(milliseconds=1501),
        lock=timedelta(milliseconds=502),
        idle_in_transaction=timedelta(milliseconds=703),
    )
    assert await make_roles(database_dsn, limits, schema=SCHEMA)
    assert not await make_roles(database_dsn, limits, schema=SCHEMA)
    connection = await connected(database_dsn, role)
    found = {name: await connection.fetchval(f"show {name}") for name in limits.settings()}
    await connection.close()
    assert found == limits.settings()


async def test_a_statement_of_the_service_ends_at_its_limit(database_dsn: str) -> None:
    await make_roles(database_dsn, Limits(statement=timedelta(milliseconds=20)), schema=SCHEMA)
    connection = await connected(database_dsn, APP)
    with pytest.raises(asyncpg.QueryCanceledError):
        await connection.execute("select pg_sleep(10)")
    await connection.close()


async def test_a_wait_for_a_lock_ends_at_its_limit(database_dsn: str) -> None:
    await make_roles(database_dsn, Limits(lock=timedelta(milliseconds=20)), schema=SCHEMA)
    holder: Connection = await asyncpg.connect(database_dsn, server_settings=SESSION)
    connection = await connected(database_dsn, APP)
    async with holder.transaction():
        await holder.execute("lock table nodes in access exclusive mode")
        with pytest.raises(asyncpg.LockNotAvailableError):
            await connection.fetch("select * from nodes")
    await connection.close()
    await holder.close()


async def test_an_idle_transaction_of_the_service_is_ended(database_dsn: str) -> None:
    await make_roles(
        database_dsn, Limits(idle_in_transaction=timedelta(milliseconds=20)), schema=SCHEMA
    )
    connection = await connected(database_dsn, APP)
    await connection.execute("begin")
    watcher: Connection = await asyncpg.connect(database_dsn)
    ended = "select not exists (select from pg_stat_activity where pid = $1)"
    while not await watcher.fetchval(ended, connection.get_server_pid()):
        pass
    await watcher.close()
    connection.terminate()


async def test_what_is_missing_is_told_by_name(database_dsn: str) -> None:
    owner: Connection = await asyncpg.connect(database_dsn, server_settings=SESSION)
    await owner.execute("revoke insert on orders from tradesaga_app")
    await owner.execute("revoke delete on inbox from tradesaga_app")
    assert await lacking(database_dsn, schema=SCHEMA) == []
    assert list(await lacking(of(database_dsn, APP), schema=SCHEMA)) == [
        "user tradesaga_app lacks delete on orchestration.inbox",
        "user tradesaga_app lacks insert on orchestration.orders",
    ]
    assert await make_roles(database_dsn, Limits(), schema=SCHEMA)
    assert await lacking(of(database_dsn, APP), schema=SCHEMA) == []
    await owner.execute("grant update on journal_log to tradesaga_app")
    assert await make_roles(database_dsn, Limits(), schema=SCHEMA), "too much is amiss as well"
    assert not await owner.fetchval(
        "select has_table_privilege('tradesaga_app', 'journal_log', 'update')"
    )
    await owner.close()


async def test_the_service_waits_for_the_owner_and_then_names_what_is_missing(
    database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = [*migrations(), Migration(version="9999", name="later", sql="select 1;", checksum="x")]
    with pytest.raises(Refused, match="migrate up"):
        await migrate(of(database_dsn, APP), known=more, schema=SCHEMA)
    monkeypatch.setattr("tradesaga.adapters.postgres.migrate.migrations", lambda: more)
    monkeypatch.setattr(schema_of, "OWNER_WAIT_SECONDS_MAX", 0.3)
    with pytest.raises(Invalid, match=r"migration 9999 \(later\) is not applied.*migrate up"):
        await schema_of.fit_schema(of(database_dsn, APP), SCHEMA)
    await migrate(database_dsn, schema=SCHEMA)
    await schema_of.fit_schema(of(database_dsn, APP), SCHEMA)


async def test_a_stranger_may_make_no_roles(database_dsn: str) -> None:
    with pytest.raises(Refused, match="migrate roles"):
        await make_roles(
            of(database_dsn, APP), Limits(statement=timedelta(seconds=3)), schema=SCHEMA
        )
